import { afterAll, beforeAll, expect, it } from 'vitest'
import fc from 'fast-check'

import { openIndexer } from '../src/index.ts'
import type { IndexEvent, Indexer, IndexStore } from '../src/index.ts'
import { openPostgresIndexStore } from '../src/stores/postgres.ts'
import { openSqliteIndexStore } from '../src/stores/sqlite.ts'
import { createFakeNetwork } from '../src/testing/index.ts'
import type { FakeNetwork } from '../src/testing/index.ts'
import { startPostgres } from './postgres-server.ts'
import type { TestServer } from './postgres-server.ts'
import { NSID, socialCollections, strongRef } from './social.ts'
import type { SocialCollections } from './social.ts'

/** One step of a random history: who does what to which earlier record. */
interface Step {
  readonly who: number
  readonly what: number
  readonly pick: number
}

/** More in a long run. */
const RUNS = Number(process.env['SKYWRIGHT_HISTORIES'] ?? 60)
const ACCOUNTS = 4
const step = fc.record({
  who: fc.nat(ACCOUNTS - 1),
  what: fc.nat(99),
  pick: fc.nat(1_000),
})
const history = fc.array(step, { minLength: 20, maxLength: 120 })

/** Plays a history; subjects are few, so duplicates, promotions and edits onto conflicts are the rule. */
function play(steps: readonly Step[]): FakeNetwork {
  const network = createFakeNetwork()
  const accounts = Array.from({ length: ACCOUNTS }, () => network.account())
  const uris: string[][] = accounts.map(() => [])
  const subjects = accounts.map(({ did }, n) => `at://${did}/${NSID.POST}/first${n}`)
  for (const { who, what, pick } of steps) {
    const account = accounts[who]!
    const own = uris[who]!
    const subject = subjects[pick % subjects.length]!
    const reply = { parent: strongRef(subject), root: strongRef(subjects[0]!) }
    if (what < 10) account.create(NSID.POST, { text: `word${pick % 5}` }, `first${who}`)
    else if (what < 25)
      own.push(
        account.create(NSID.POST, {
          text: what === 10 ? 'bad' : `w${pick}`,
          ...(pick % 2 === 0 ? { reply } : {}),
        }),
      )
    else if (what < 55)
      own.push(account.create(NSID.LIKE, { subject: strongRef(subject) }, `like${pick % 7}`))
    else if (what < 65)
      own.push(
        account.create(NSID.FOLLOW, { subject: accounts[pick % ACCOUNTS]!.did }, `f${pick % 4}`),
      )
    else if (what < 72)
      own.push(
        account.create(
          NSID.ITEM,
          { list: subjects[pick % 2]!, subject: accounts[pick % 3]!.did },
          `i${pick % 5}`,
        ),
      )
    else if (what < 75)
      account.commit({
        collection: NSID.GATE,
        rkey: `first${who}`,
        record: { allow: pick % 2 === 0 ? 'nobody' : 'following' },
      })
    else if (what < 80)
      own.push(account.create(NSID.REPOST, { subject: strongRef(subject) }, `r${pick % 4}`))
    else if (what < 95) {
      const uri = own[pick % Math.max(1, own.length)]
      if (uri !== undefined) account.delete(uri)
    } else if (what < 97) account.setStatus(false, 'takendown')
    else if (what < 99) account.setStatus(true)
    else account.commit()
  }
  for (const account of accounts)
    if (account.rev === undefined) account.create(NSID.PROFILE, { displayName: 'x' }, 'self')
  return network
}

const inMemory = (): IndexStore => openSqliteIndexStore(':memory:')

async function open(network: FakeNetwork, store: IndexStore): Promise<Indexer<SocialCollections>> {
  return openIndexer({
    store,
    collections: socialCollections(),
    now: () => network.now(),
    fetchRepo: network.fetchRepo,
  })
}

/** An interleaving that keeps each account's order. */
function interleave(events: readonly IndexEvent[], choices: readonly number[]): IndexEvent[] {
  const queues = new Map<string, IndexEvent[]>()
  for (const event of events) {
    const queue = queues.get(event.did)
    if (queue === undefined) queues.set(event.did, [event])
    else queue.push(event)
  }
  const mixed: IndexEvent[] = []
  for (let at = 0; queues.size > 0; at++) {
    const dids = [...queues.keys()].toSorted()
    const did = dids[(choices[at % choices.length] ?? 0) % dids.length]!
    const queue = queues.get(did)!
    mixed.push(queue.shift()!)
    if (queue.length === 0) queues.delete(did)
  }
  return mixed
}

let server: TestServer | undefined
beforeAll(async () => {
  server = await startPostgres()
})
let histories = 0
let events = 0
/** Rows that did not count, by reason: shadows, hidden, gated. */
const standing: Record<number, number> = {}
afterAll(async () => {
  await server?.[Symbol.asyncDispose]()
  expect(histories).toBeGreaterThanOrEqual(RUNS)
  expect(events).toBeGreaterThan(1_000)
  for (const bit of [1, 2, 4]) expect(standing[bit]).toBeGreaterThan(20)
})

/** How to get empty stores, and how many histories to play on them. */
const STORES: readonly {
  readonly name: string
  readonly runs: number
  readonly withStores: (work: (create: () => Promise<IndexStore>) => Promise<void>) => Promise<void>
}[] = [
  { name: 'SQLite', runs: RUNS, withStores: (work) => work(() => Promise.resolve(inMemory())) },
  {
    name: 'Postgres',
    runs: Math.ceil(RUNS / 15),
    withStores: async (work) => {
      const running = server
      if (running === undefined) throw new TypeError('no server')
      const drops: (() => Promise<void>)[] = []
      await work(async () => {
        const { connectionString, drop } = await running.create()
        drops.push(drop)
        return openPostgresIndexStore({ connectionString })
      })
      for (const drop of drops) await drop()
    },
  },
]

it.each(STORES)(
  'gives one state for every interleaving, batch size, replay and backfill, on $name',
  async ({ runs, withStores }) => {
    await fc.assert(
      fc.asyncProperty(
        history,
        fc.array(fc.nat(100), { minLength: 5, maxLength: 40 }),
        fc.integer({ min: 1, max: 9 }),
        async (steps, choices, size) => {
          const network = play(steps)
          histories++
          events += network.events.length
          await using one = await open(network, inMemory())
          await one.apply(network.events)
          const expected = await one.stateHash()
          for (const bit of [1, 2, 4])
            standing[bit] =
              (standing[bit] ?? 0) +
              (
                await one.sql(
                  `SELECT 1 AS one FROM post WHERE state & ${bit} UNION ALL SELECT 1 FROM "like" WHERE state & ${bit}`,
                )
              ).length
          expect(await one.audit()).toEqual([])

          await withStores(async (create) => {
            await using mixed = await open(network, await create())
            const shuffled = interleave(network.events, choices)
            for (let at = 0; at < shuffled.length; at += size) {
              await mixed.apply(shuffled.slice(at, at + size))
              // A crash before the cursor was stored: the batch comes again.
              if (at % 3 === 0) await mixed.apply(shuffled.slice(Math.max(0, at - size), at + size))
            }
            expect(await mixed.stateHash()).toBe(expected)
            expect(await mixed.audit()).toEqual([])

            await using filled = await open(network, await create())
            const half = Math.floor(shuffled.length / 2)
            await filled.apply(shuffled.slice(0, half))
            await Promise.all([
              filled.backfill({ repos: network.accounts.map(({ did }) => did).toReversed() }),
              filled.apply(shuffled.slice(half)),
            ])
            await filled.backfill({ repos: network.accounts.map(({ did }) => did) })
            expect(await filled.stateHash()).toBe(expected)
            expect(await filled.audit()).toEqual([])
          })
        },
      ),
      { numRuns: runs },
    )
  },
  120_000 + RUNS * 200,
)
