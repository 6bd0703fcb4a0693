import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TransactionalEventLog } from '@skywright/firehose'
import type { AccountRecord, HostRecord, RelayChange } from '@skywright/firehose/relay'
import { openSqliteEventLog } from '@skywright/firehose/sqlite'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { CollectionIndex } from '../src/collection-index.ts'
import { openDatabase } from '../src/database.ts'
import { SqliteRelayStore } from '../src/store.ts'

let directory: string
let database: ReturnType<typeof openDatabase>
let log: TransactionalEventLog
let store: SqliteRelayStore

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'relay-store-'))
  open()
})

afterEach(async () => {
  await close()
  rmSync(directory, { recursive: true })
})

function open(): void {
  database = openDatabase(directory)
  log = openSqliteEventLog({ database })
  store = new SqliteRelayStore(database, log, new CollectionIndex(database))
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

function account(
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
  return { did, encode: (seq) => new TextEncoder().encode(`${did} ${String(seq)}`) }
}

describe('SqliteRelayStore', () => {
  it('keeps hosts and accounts across a restart', async () => {
    const one = host('a.example.com', { cursor: 7, lastEventAtMs: 5, accountLimit: 9 })
    const chain = { rev: '3kaaaaaaaaa2a', data: 'bafydata', commit: 'bafycommit' }
    const alice = account('did:plc:alice', 'a.example.com', {
      upstreamStatus: 'deactivated',
      localStatus: 'takendown',
      chain,
      hostSeq: 12,
      discontinuities: 3,
    })
    await store.commit(change({ hosts: [one], accounts: [alice] }))
    await close()
    open()
    expect(store.getHost('a.example.com')).toEqual({ ...one, accountCount: 1 })
    expect(store.getAccount('did:plc:alice')).toEqual(alice)
    expect(store.getHost('b.example.com')).toBeUndefined()
    expect(store.getAccount('did:plc:bob')).toBeUndefined()
  })

  it('counts accounts where they live, down as well as up', async () => {
    const count = (hostname: string): number | undefined => store.getHost(hostname)?.accountCount
    await store.commit(change({ hosts: [host('a.test'), host('b.test')] }))
    await store.commit(
      change({ accounts: [account('did:plc:x', 'a.test'), account('did:plc:y', 'a.test')] }),
    )
    expect([count('a.test'), count('b.test')]).toEqual([2, 0])
    await store.commit(change({ accounts: [account('did:plc:x', 'b.test')] }))
    expect([count('a.test'), count('b.test')]).toEqual([1, 1])
    await store.commit(
      change({ accounts: [account('did:plc:y', 'a.test', { upstreamStatus: 'deleted' })] }),
    )
    expect([count('a.test'), count('b.test')]).toEqual([0, 1])
    await store.commit(change({ accounts: [account('did:plc:y', 'a.test')] }))
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
      change({ hosts: [host('a.test')], accounts: dids.map((did) => account(did, 'a.test')) }),
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
})
