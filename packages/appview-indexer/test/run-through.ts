import { expect } from 'vitest'

import { openIndexer } from '../src/index.ts'
import type { Indexer, IndexIssue, IndexStore } from '../src/index.ts'
import { openSqliteIndexStore } from '../src/stores/sqlite.ts'
import type { FakeNetwork } from '../src/testing/index.ts'
import { socialCollections } from './social.ts'
import type { SocialCollections } from './social.ts'

const BATCH = 100
/** Twelve hundred events with gates, on a busy machine. */
export const TROUBLE_TIMEOUT_MS = 120_000

/** What a run through trouble is watched by. */
interface Watched {
  readonly index: Indexer<SocialCollections>
  readonly failures: (IndexIssue & { readonly kind: 'store-failed' })[]
  /** Milliseconds the indexer would have waited: nobody really waits. */
  waitedMs: number
}

/** Runs a history; `trouble` is called after some batches, `relief` once a minute has been waited. */
export async function runThrough(
  network: FakeNetwork,
  store: IndexStore,
  trouble: () => void | Promise<void>,
  relief: (watched: Watched) => void | Promise<void>,
): Promise<Watched> {
  const failures: Watched['failures'] = []
  let batches = 0
  let relieved = false
  const watched: Watched = {
    failures,
    waitedMs: 0,
    index: await openIndexer({
      store,
      collections: socialCollections(),
      now: () => network.now(),
      maxBatchEvents: BATCH,
      onBatch: () => {
        batches++
      },
      onIssue: (issue) => {
        if (issue.kind === 'store-failed') failures.push(issue)
      },
      delay: async (ms, signal) => {
        signal.throwIfAborted()
        watched.waitedMs += ms
        if (watched.waitedMs < 60_000 || relieved) return
        relieved = true
        await relief(watched)
      },
    }),
  }
  const calm = network.source('relay')
  await watched.index.run({
    name: calm.name,
    async *events(options) {
      let told = false
      for await (const event of calm.events(options)) {
        if (!told && batches >= 3) {
          told = true
          await trouble()
        }
        yield event
      }
    },
  })
  return watched
}

export async function expectedOf(network: FakeNetwork): Promise<string> {
  await using calm = await openIndexer({
    store: openSqliteIndexStore(':memory:'),
    collections: socialCollections(),
    now: () => network.now(),
    fetchRepo: network.fetchRepo,
  })
  await calm.run(network.source('relay'))
  return await calm.stateHash()
}

/** Nothing was lost or counted twice, every failure was told of, and none is by now. */
export async function checkWhole(
  { index, failures, waitedMs }: Watched,
  expected: string,
): Promise<void> {
  expect(failures.length).toBeGreaterThan(5)
  expect(failures.map(({ attempt }) => attempt)).toEqual(failures.map((_, at) => at + 1))
  for (const { error } of failures)
    expect(error).toMatchObject({ code: 'StoreFailure', retryable: true })
  expect(waitedMs).toBeGreaterThanOrEqual(60_000)
  expect(await index.audit()).toEqual([])
  expect(await index.stateHash()).toBe(expected)
  expect((await index.status()).failing).toBeUndefined()
}
