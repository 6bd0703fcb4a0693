import { copyFileSync, cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { backup, DatabaseSync } from 'node:sqlite'
import { encodeEvent } from '@skywright/firehose'
import type { AccountRecord, HostRecord, RelayChange, RelayStore } from '@skywright/firehose/relay'
import { openSegmentEventLog, type SegmentEventLog } from '@skywright/firehose/segments'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { CollectionIndex } from '../src/collection-index.ts'
import { openDatabase } from '../src/database.ts'
import { lockFolder } from '../src/folder-lock.ts'
import { openRelayStore } from '../src/store.ts'
import { RelayTables } from '../src/tables.ts'

let directory: string
let database: ReturnType<typeof openDatabase>
let log: SegmentEventLog
let store: RelayStore

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'relay-store-'))
  await open()
})

afterEach(async () => {
  await close()
  rmSync(directory, { recursive: true })
})

async function open(now: () => number = Date.now): Promise<void> {
  database = openDatabase(directory)
  const tables = new RelayTables(database)
  const folder = join(directory, 'log')
  log = await openSegmentEventLog({ folder, above: tables.appliedSeq, now })
  const collections = new CollectionIndex(database)
  store = await openRelayStore({ database, tables, collections, log })
}

async function close(): Promise<void> {
  await store[Symbol.asyncDispose]()
  await log[Symbol.asyncDispose]()
  database.close()
}

function host(hostname: string, change: Partial<HostRecord> = {}): HostRecord {
  return {
    hostname,
    url: `https://${hostname}`,
    status: 'active',
    cursor: undefined,
    enforcement: 'enforce',
    accountCount: 0,
    accountLimit: 100,
    addedAtMs: 1_000,
    lastEventAtMs: undefined,
    ...change,
  }
}

function accountOf(
  did: string,
  hostname: string,
  change: Partial<AccountRecord> = {},
): AccountRecord {
  return {
    did,
    hostname,
    upstreamStatus: 'active',
    localStatus: undefined,
    chain: undefined,
    hostSeq: undefined,
    discontinuities: 0,
    ...change,
  }
}

function change(parts: Partial<RelayChange>): RelayChange {
  return { events: [], accounts: [], hosts: [], ...parts }
}

function event(did: string): RelayChange['events'][number] {
  const time = '2026-11-28T00:00:00.000Z'
  return { did, encode: (seq) => encodeEvent({ type: 'identity', seq, did, time }, seq) }
}

describe('openRelayStore', () => {
  it('keeps hosts and accounts across a restart', async () => {
    const one = host('a.example.com', { cursor: 7, lastEventAtMs: 5, accountLimit: 9 })
    const chain = { rev: '3kaaaaaaaaa2a', data: 'bafydata', commit: 'bafycommit' }
    const alice = accountOf('did:plc:alice', 'a.example.com', {
      upstreamStatus: 'deactivated',
      localStatus: 'takendown',
      chain,
      hostSeq: 12,
      discontinuities: 3,
    })
    await store.commit(change({ hosts: [one], accounts: [alice] }))
    await close()
    await open()
    expect(store.getHost('a.example.com')).toEqual({ ...one, accountCount: 1 })
    expect(store.getAccount('did:plc:alice')).toEqual(alice)
    expect(store.getHost('b.example.com')).toBeUndefined()
    expect(store.getAccount('did:plc:bob')).toBeUndefined()
  })

  it('counts accounts where they live, down as well as up', async () => {
    const count = (hostname: string): number | undefined => store.getHost(hostname)?.accountCount
    await store.commit(change({ hosts: [host('a.test'), host('b.test')] }))
    await store.commit(
      change({ accounts: [accountOf('did:plc:x', 'a.test'), accountOf('did:plc:y', 'a.test')] }),
    )
    expect([count('a.test'), count('b.test')]).toEqual([2, 0])
    await store.commit(change({ accounts: [accountOf('did:plc:x', 'b.test')] }))
    expect([count('a.test'), count('b.test')]).toEqual([1, 1])
    await store.commit(
      change({ accounts: [accountOf('did:plc:y', 'a.test', { upstreamStatus: 'deleted' })] }),
    )
    expect([count('a.test'), count('b.test')]).toEqual([0, 1])
    await store.commit(change({ accounts: [accountOf('did:plc:y', 'a.test')] }))
    expect([count('a.test'), count('b.test')]).toEqual([1, 1])
    // A written host does not bring its own count.
    await store.commit(change({ hosts: [host('a.test', { accountCount: 99 })] }))
    expect(count('a.test')).toBe(1)
  })

  it('gives rising sequence numbers to events of changes that share a transaction', async () => {
    const results = await Promise.all(
      Array.from({ length: 600 }, (_, i) =>
        store.commit(change({ events: [event(`did:plc:${String(i)}`)] })),
      ),
    )
    const seqs = results.flat()
    expect(seqs).toHaveLength(600)
    expect(seqs.every((seq, i) => i === 0 || seq > (seqs[i - 1] ?? Infinity))).toBe(true)
    const entries = await log.read((seqs[0] ?? 0) - 1, { maxEvents: 1_000 })
    expect(entries.map((entry) => entry.seq)).toEqual(seqs)
  })

  it('shows no event before it is durable, and wakes readers when it is', async () => {
    const before = log.bounds().last
    const changed = log.changed(before)
    const committed = store.commit(change({ events: [event('did:plc:x')] }))
    expect(log.bounds().last).toBe(before)
    await committed
    await changed
    expect(log.bounds().last).toBe(before + 1)
  })

  it('opens what relays of the versions before wrote, and nothing else', async () => {
    await store.commit({ events: [], accounts: [], hosts: [host('a.example')] })
    const tables = (): unknown =>
      database.prepare('SELECT name, sql FROM sqlite_schema ORDER BY name').all()
    const current = tables()
    const undo = ['DROP TABLE relay_listing; DROP TABLE relay_listed;', '']
    for (const [i, drop] of undo.entries()) {
      database.exec(
        `${drop} DROP INDEX relay_host_added_at; DROP INDEX relay_account_taken_down;
         PRAGMA user_version = ${String(i + 2)}`,
      )
      await close()
      await open()
      expect(store.getHost('a.example')).toBeDefined()
      expect(tables()).toEqual(current)
    }
    const setVersion = (version: number): void => {
      using other = new DatabaseSync(join(directory, 'relay.sqlite'))
      other.exec(`PRAGMA user_version = ${String(version)}`)
    }
    await close()
    for (const version of [1, 5]) {
      setVersion(version)
      expect(() => openDatabase(directory)).toThrow(/another version/)
    }
    setVersion(4)
    await open()
  })

  it('fails a bad change alone and completely', async () => {
    const bad: RelayChange = change({
      hosts: [host('bad.test')],
      events: [
        event('did:plc:good'),
        {
          did: 'did:plc:bad',
          encode: () => {
            throw new Error('cannot encode')
          },
        },
      ],
    })
    const [first, second, third] = await Promise.allSettled([
      store.commit(change({ hosts: [host('a.test')], events: [event('did:plc:a')] })),
      store.commit(bad),
      store.commit(change({ hosts: [host('c.test')], events: [event('did:plc:c')] })),
    ])
    expect([first.status, second.status, third.status]).toEqual([
      'fulfilled',
      'rejected',
      'fulfilled',
    ])
    expect(store.getHost('bad.test')).toBeUndefined()
    expect(store.listHosts({ limit: 10 }).items.map((item) => item.hostname)).toEqual([
      'a.test',
      'c.test',
    ])
    const entries = await log.read(0)
    expect(entries.map((entry) => entry.did)).toEqual(['did:plc:a', 'did:plc:c'])
  })

  it('pages through hosts and accounts without losing or repeating one', async () => {
    const dids = Array.from({ length: 25 }, (_, i) => `did:plc:${String(i).padStart(3, '0')}`)
    await store.commit(
      change({ hosts: [host('a.test')], accounts: dids.map((did) => accountOf(did, 'a.test')) }),
    )
    const seen: string[] = []
    let cursor: string | undefined
    do {
      const page = store.listAccounts({ limit: 10, ...(cursor === undefined ? {} : { cursor }) })
      seen.push(...page.items.map((item) => item.did))
      cursor = page.cursor
    } while (cursor !== undefined)
    expect(seen).toEqual(dids)
  })

  it('takes from the log what the tables missed: after every prefix of them', async () => {
    const states: { readonly copy: string; readonly applied: number }[] = []
    const account = (n: number, i: number): AccountRecord =>
      accountOf(`did:plc:${String(n % 3)}`, n % 7 === 0 ? 'b.test' : 'a.test', {
        chain: { rev: `3k${String(i)}`, data: 'bafydata', commit: 'bafycommit' },
        hostSeq: i,
        discontinuities: i % 4,
        upstreamStatus: n % 11 === 0 ? 'deactivated' : 'active',
      })
    await store.commit(change({ hosts: [host('a.test'), host('b.test')] }))
    for (let i = 1; i <= 12; i++) {
      const group = Array.from({ length: 4 }, (_, n) => account(i * 4 + n, i * 4 + n))
      await Promise.all(
        group.map((one) => store.commit(change({ events: [event(one.did)], accounts: [one] }))),
      )
      const copy = join(directory, `copy-${String(i)}`)
      await backup(database, copy)
      states.push({ copy, applied: i * 4 })
    }
    const expected = store.listAccounts({ limit: 100 })
    const counts = store.listHosts({ limit: 10 }).items.map((item) => item.accountCount)
    const last = log.bounds().last
    await close()
    for (const { copy } of states) {
      for (const name of ['relay.sqlite', 'relay.sqlite-wal', 'relay.sqlite-shm']) {
        rmSync(join(directory, name), { force: true })
      }
      copyFileSync(copy, join(directory, 'relay.sqlite'))
      await open()
      expect(store.listAccounts({ limit: 100 })).toEqual(expected)
      expect(store.listHosts({ limit: 10 }).items.map((item) => item.accountCount)).toEqual(counts)
      expect(log.bounds().last).toBeGreaterThanOrEqual(last)
      await close()
    }
    await open()
  })

  it('gives out no number twice: not with old tables, an old log, an old disk or an old clock', async () => {
    let now = 1_800_000_000_000
    const given = new Set<number>()
    const publish = async (): Promise<void> => {
      for (let i = 0; i < 20; i++) {
        const [seq = 0] = await store.commit(change({ events: [event('did:plc:x')] }))
        expect(given).not.toContain(seq)
        expect(seq).toBeGreaterThan(Math.max(0, ...given))
        given.add(seq)
      }
    }
    const again = async (ms: number): Promise<void> => {
      await open(() => ms)
      await publish()
      await close()
    }
    await close()
    await again(now)
    const old = join(directory, '..', `${basename(directory)}-old`)
    cpSync(directory, old, { recursive: true })
    await again((now += 60_000))
    // The log of the old disk beside the tables of today, on a machine whose clock was set back.
    rmSync(join(directory, 'log'), { recursive: true })
    cpSync(join(old, 'log'), join(directory, 'log'), { recursive: true })
    await again(now - 30_000)
    // The tables of the old disk beside the log of today.
    copyFileSync(join(old, 'relay.sqlite'), join(directory, 'relay.sqlite'))
    await again(now - 30_000)
    // The whole old disk: only the clock knows better.
    rmSync(directory, { recursive: true })
    cpSync(old, directory, { recursive: true })
    rmSync(old, { recursive: true })
    await again(now + 1_000)
    expect(given.size).toBe(100)
    await open()
  })

  it('remembers nothing of an account from a write that was rolled back', async () => {
    await store.commit(change({ hosts: [host('a.test')] }))
    database.exec(
      "CREATE TRIGGER full BEFORE UPDATE ON relay_state BEGIN SELECT RAISE(ABORT, 'disk full'); END",
    )
    const alice = accountOf('did:plc:alice', 'a.test')
    await expect(
      store.commit(change({ events: [event(alice.did)], accounts: [alice] })),
    ).rejects.toThrow(/disk full/)
    expect(store.getAccount(alice.did)).toBeUndefined()
  })

  it('takes no more once the log and the tables may differ', async () => {
    await store.commit(change({ hosts: [host('a.test')] }))
    database.exec('DROP TABLE relay_account')
    const alice = accountOf('did:plc:alice', 'a.test')
    await expect(
      store.commit(change({ events: [event(alice.did)], accounts: [alice] })),
    ).rejects.toThrow(/no such table/)
    await expect(store.commit(change({ events: [event('did:plc:bob')] }))).rejects.toThrow(
      /no such table/,
    )
    expect((await log.read(0)).map((entry) => entry.did)).toEqual([alice.did])
  })
})

describe('lockFolder', () => {
  it('keeps a second process out until the first one is done', () => {
    const first = lockFolder(directory)
    expect(() => lockFolder(directory)).toThrow(/another process uses the data folder/)
    first[Symbol.dispose]()
    lockFolder(directory)[Symbol.dispose]()
  })
})
