import fc from 'fast-check'
import { expect, it } from 'vitest'

import { collection, openIndexer, text, uri } from '../src/index.ts'
import type {
  AnyCollection,
  CollectionDeclaration,
  Column,
  Indexer,
  RetainDeclaration,
} from '../src/index.ts'
import { openSqliteIndexStore } from '../src/stores/sqlite.ts'
import { createFakeNetwork } from '../src/testing/index.ts'
import type { FakeNetwork } from '../src/testing/index.ts'
import { NSID, strongRef } from './social.ts'

type Collections = {
  readonly post: CollectionDeclaration<{ readonly text: Column<string> }>
  readonly like: CollectionDeclaration<{ readonly subject: Column<string | undefined> }>
}

const DAY = 86_400_000

function declare(retain: RetainDeclaration): Collections {
  return {
    post: collection(NSID.POST, {
      columns: { text: text('text', { required: true }) },
      counters: { posts: 'did' },
      search: ['text'],
      retain,
    }),
    like: collection(NSID.LIKE, {
      layout: 'edge',
      columns: { subject: uri('subject') },
      unique: ['subject'],
      counters: { likes: 'subject' },
      retain,
    }),
  }
}

function open(
  network: FakeNetwork,
  retain: RetainDeclaration,
  now: () => number = () => network.now(),
): Promise<Indexer<Collections>> {
  return openIndexer({
    store: openSqliteIndexStore(':memory:'),
    collections: declare(retain),
    now,
    fetchRepo: network.fetchRepo,
  })
}

it('lets rows go when their time is over, with everything they counted for, and does not take them back', async () => {
  const network = createFakeNetwork()
  const [alice, bob] = [network.account(), network.account()]
  const start = network.now()
  const at = (days: number): string => new Date(start + days * DAY).toISOString()
  const old = alice.create(NSID.POST, { text: 'old', createdAt: at(-20) })
  const young = alice.create(NSID.POST, { text: 'young', createdAt: at(-5) })
  const future = alice.create(NSID.POST, { text: 'future', createdAt: at(900) })
  const ancient = alice.create(NSID.POST, { text: 'ancient', createdAt: at(-400) })
  bob.create(NSID.LIKE, { subject: strongRef(young), createdAt: at(-5) })
  bob.create(NSID.LIKE, { subject: strongRef(old), createdAt: at(-20) })
  let now = start + 1_000
  await using index = await open(network, { days: 30 }, () => now)
  await index.apply(network.events)
  const state = async (): Promise<unknown> => [
    (await index.select('post').orderBy('text').page()).rows.map((row) => row.text),
    (await index.counts([alice.did])).get(alice.did)?.['posts'],
    (await index.counts([old])).get(old)?.['likes'],
    (await index.select('post').search('old').page()).rows.length,
  ]
  expect(await state()).toEqual([['future', 'old', 'young'], 3, 1, 1])
  expect(await index.deadLetters()).toEqual([])
  now = start + 15 * DAY
  await index.settle()
  expect(await state()).toEqual([['future', 'young'], 2, 0, 0])
  // Neither the repos nor a replay bring them back, and missing them is no drift.
  expect(await index.reconcile({ repos: 'all' })).toMatchObject({
    compared: 2,
    drifted: [],
    behind: [],
  })
  alice.update(ancient, { text: 'edited', createdAt: at(-400) })
  await index.apply(network.events)
  expect(await state()).toEqual([['future', 'young'], 2, 0, 0])
  now = start + 31 * DAY
  await index.settle()
  expect(await index.get('post', future)).toBeUndefined()
  expect(await index.audit()).toEqual([])
  expect(await index.sql('SELECT * FROM "like"')).toEqual([])
})

it('keeps the records of an account with the highest keys, and fetches the next when one of them goes', async () => {
  const network = createFakeNetwork()
  const alice = network.account()
  const uris = Array.from({ length: 10 }, (_, n) =>
    alice.create(NSID.POST, { text: `${n}` }, `k${n}`),
  )
  await using index = await open(network, { perRepo: 3 })
  await index.apply(network.events)
  const kept = async (): Promise<string[]> =>
    (await index.select('post').page()).rows.map((row) => row.rkey).toSorted()
  expect(await kept()).toEqual(['k7', 'k8', 'k9'])
  expect((await index.counts([alice.did])).get(alice.did)?.['posts']).toBe(3)
  // In one batch: a higher key, an edit of one that is pushed out by it, and one too low to stay.
  alice.commit(
    { collection: NSID.POST, rkey: 'k99', record: { text: '99' } },
    { collection: NSID.POST, rkey: 'k7', record: { text: 'edited' } },
    { collection: NSID.POST, rkey: 'k0a', record: { text: 'low' } },
  )
  await index.apply(network.events.slice(-1))
  expect(await kept()).toEqual(['k8', 'k9', 'k99'])
  alice.delete(uris[9]!)
  await index.apply(network.events.slice(-1))
  expect(await kept()).toEqual(['k8', 'k99'])
  await index.backfill({ repos: [] })
  expect(await kept()).toEqual(['k7', 'k8', 'k99'])
  expect((await index.get('post', uris[7]!))?.text).toBe('edited')
  expect(await index.reconcile({ repos: 'all' })).toMatchObject({ drifted: [], behind: [] })
  expect(await index.audit()).toEqual([])
})

it('fetches what was pushed out before, also when a lower key comes as another goes', async () => {
  const network = createFakeNetwork()
  const alice = network.account()
  const uris = ['k1', 'k2', 'k3', 'k4'].map((rkey) => alice.create(NSID.POST, { text: 'x' }, rkey))
  await using index = await open(network, { perRepo: 3 })
  await index.apply(network.events)
  // k1 was pushed out; k0 is newer here, and lower.
  const low = { collection: NSID.POST, rkey: 'k0', record: { text: 'low' } }
  alice.commit({ action: 'delete', collection: NSID.POST, rkey: 'k2' }, low)
  await index.apply(network.events.slice(-1))
  await index.backfill({ repos: [] })
  const kept = (await index.select('post').page()).rows.map((row) => row.rkey).toSorted()
  expect(kept).toEqual(['k1', 'k3', 'k4'])
  expect(await index.get('post', uris[1]!)).toBeUndefined()
  expect(await index.audit()).toEqual([])
})

it('ends in one state whatever the order, the batches, the replays and the backfills', async () => {
  const step = fc.record({ who: fc.nat(2), what: fc.nat(9), key: fc.nat(12), age: fc.nat(60) })
  let pushedOut = 0
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 20, maxLength: 80 }),
      fc.integer({ min: 1, max: 7 }),
      async (steps, size) => {
        const network = createFakeNetwork()
        const accounts = [0, 1, 2].map(() => network.account())
        const start = network.now()
        const have = new Set<string>()
        for (const { who, what, key, age } of steps) {
          const account = accounts[who]!
          const createdAt = new Date(start - age * DAY).toISOString()
          const target = `at://${account.did}/${NSID.POST}/k${key}`
          if (what < 6) {
            account.create(NSID.POST, { text: age % 9 === 0 ? 7 : `${age}`, createdAt }, `k${key}`)
            have.add(target)
          } else if (what < 8)
            account.create(NSID.LIKE, { subject: strongRef(target), createdAt }, `k${key}`)
          else if (have.delete(target)) account.delete(target)
        }
        for (const account of accounts)
          if (account.rev === undefined) account.create(NSID.POST, { text: 'x' }, 'k1')
        const retain = { days: 30, perRepo: 4 }
        const hashes: string[] = []
        const orders = [
          network.events,
          accounts
            .toReversed()
            .flatMap(({ did }) => network.events.filter((one) => one.did === did)),
          [],
        ]
        for (const events of orders) {
          await using index = await open(network, retain)
          for (let at = 0; at < events.length; at += size) {
            await index.apply(events.slice(at, at + size))
            if (at % 2 === 0) await index.apply(events.slice(Math.max(0, at - size), at + 1))
          }
          await index.backfill({ repos: events.length === 0 ? accounts.map(({ did }) => did) : [] })
          hashes.push(await index.stateHash())
          expect(await index.audit()).toEqual([])
          if (events.length === 0) pushedOut += have.size - (await index.select('post').count())
        }
        expect(new Set(hashes).size).toBe(1)
      },
    ),
    { numRuns: 40 },
  )
  expect(pushedOut).toBeGreaterThan(50)
})

it('refuses to keep nothing, or more than it can', async () => {
  const bad: RetainDeclaration[] = [{ days: 0 }, { days: -1 }, { days: Number.NaN }, { perRepo: 0 }]
  for (const retain of [...bad, { perRepo: 1.5 }, { perRepo: 10_001 }, { days: 1e9 }])
    await expect(
      openIndexer({
        store: openSqliteIndexStore(':memory:'),
        collections: { post: collection(NSID.POST, { retain }) as AnyCollection },
      }),
    ).rejects.toMatchObject({ code: 'InvalidDeclaration' })
})
