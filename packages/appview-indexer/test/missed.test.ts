import { SimulatedNetwork } from '@skywright/firehose/testing'
import { createMemoryResolver } from '@skywright/identity/testing'
import { expect, it } from 'vitest'

import { collection, firehoseSource, openIndexer, text } from '../src/index.ts'
import type { EventSource, Indexer, IndexIssue, SourcedEvent } from '../src/index.ts'
import { openSqliteIndexStore } from '../src/stores/sqlite.ts'
import { createFakeNetwork } from '../src/testing/index.ts'
import type { FakeNetwork } from '../src/testing/index.ts'

const NOTE = 'com.example.note'
const collections = { note: collection(NOTE, { columns: { title: text('title') } }) }

/** A source that says it missed something, then waits. */
function holedSource(events: readonly SourcedEvent[]): EventSource {
  return {
    name: 'relay',
    async *events({ signal }) {
      yield* events
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
    },
  }
}

function networkWithNotes(): FakeNetwork {
  const network = createFakeNetwork()
  for (let n = 0; n < 5; n++) network.account().create(NOTE, { title: `${n}` })
  return network
}

async function runUntil(
  index: Indexer<typeof collections>,
  source: EventSource,
  done: () => Promise<boolean>,
): Promise<void> {
  const stop = new AbortController()
  const running = index.run(source, { signal: stop.signal })
  while (!(await done())) await new Promise((resolve) => setImmediate(resolve))
  stop.abort()
  await running
}

it('lists and fetches repos by itself when its source missed events, also after a crash and a failed listing', async () => {
  const network = networkWithNotes()
  const issues: IndexIssue[] = []
  let listings = 0
  await using index = await openIndexer({
    store: openSqliteIndexStore(':memory:'),
    collections,
    now: () => network.now(),
    fetchRepo: network.fetchRepo,
    delay: () => new Promise((resolve) => setImmediate(resolve)),
    listRepos: () => {
      if (listings++ === 0) throw new TypeError('the relay is away')
      return network.accounts.map(({ did }) => did)
    },
    onIssue: (issue) => issues.push(issue),
  })
  // Stored before anything was done about it, as when the process is killed just then.
  await index.apply([{ type: 'missed', reason: 'OutdatedCursor' }], { source: 'relay' })
  expect(issues).toEqual([{ kind: 'missed', source: 'relay', reason: 'OutdatedCursor' }])
  expect(listings).toBe(0)
  const complete = async (): Promise<boolean> => (await index.select('note').count()) === 5
  await runUntil(index, holedSource([]), complete)
  expect(listings).toBe(2)
  expect(issues.map(({ kind }) => kind)).toEqual(['missed', 'listing-failed'])
  expect((await index.status()).cursors).toEqual([])
  // Done is done.
  network.accounts[0]!.create(NOTE, { title: 'later' })
  await runUntil(index, holedSource(network.events), async () => {
    return (await index.select('note').count()) === 6
  })
  expect(listings).toBe(2)
})

it('fetches the accounts it knows when nobody can list them', async () => {
  const network = networkWithNotes()
  await using index = await openIndexer({
    store: openSqliteIndexStore(':memory:'),
    collections,
    now: () => network.now(),
    fetchRepo: network.fetchRepo,
  })
  await index.apply(network.events)
  for (const account of network.accounts) account.create(NOTE, { title: 'missed' })
  await runUntil(index, holedSource([{ type: 'missed', reason: 'OutdatedCursor' }]), async () => {
    return (await index.select('note').count()) === 10
  })
})

it('notices an outdated cursor, a cursor from the future and a first start of a relay', async () => {
  const network = await SimulatedNetwork.create({ accounts: 4, seed: 3 })
  const resolver = createMemoryResolver()
  for (const { did, key, host } of network.accounts)
    resolver.setAccount({ did, signingKey: key.publicKey, pds: host.url, handle: 'a.test' })
  for (let n = 0; n < 30; n++) await network.step()
  const source = firehoseSource({
    service: network.hosts[0]!.url,
    resolver,
    open: network.loopback.open,
    now: () => network.now(),
    onIssue: () => undefined,
  })
  const firstMissed = async (cursor: number | undefined): Promise<unknown> => {
    const stop = new AbortController()
    for await (const event of source.events({ cursor, signal: stop.signal }))
      if (event.type === 'missed') return event.reason
    return undefined
  }
  expect(await firstMissed(undefined)).toBe('NoCursor')
  expect(await firstMissed(9_999_999)).toBe('FutureCursor')
})

it('lists only when the stream flows: what is written while the relay cannot be reached is in the listing', async () => {
  const network = await SimulatedNetwork.create({ accounts: 1, seed: 3 })
  const [{ did, key, host } = await network.addAccount()] = network.accounts
  const resolver = createMemoryResolver()
  resolver.setAccount({ did, signingKey: key.publicKey, pds: host.url, handle: 'a.test' })
  network.loopback.setReachable(host.url, false)
  let refusedMs = 0
  let reachable = false
  const stop = new AbortController()
  const source = firehoseSource({
    service: host.url,
    resolver,
    open: network.loopback.open,
    now: () => network.now(),
    onIssue: (issue) => {
      if (issue.kind !== 'reconnect') return
      // Long enough for a quiet stream to be taken as open, were it one.
      if ((refusedMs += issue.delayMs) < 3_000) return
      reachable = true
      network.loopback.setReachable(host.url, true)
    },
  })
  for await (const event of source.events({ cursor: undefined, signal: stop.signal })) {
    expect(event.type).toBe('missed')
    expect(reachable).toBe(true)
    break
  }
  stop.abort()
  expect(refusedMs).toBeGreaterThan(2_000)
}, 30_000)
