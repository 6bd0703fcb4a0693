import { setImmediate } from 'node:timers/promises'
import { expect, it } from 'vitest'

import { openIndexer } from '../src/index.ts'
import type { BatchReport, EventSource, IndexEvent } from '../src/index.ts'
import { openSqliteIndexStore } from '../src/stores/sqlite.ts'
import { createFakeNetwork } from '../src/testing/index.ts'
import type { FakeNetwork } from '../src/testing/index.ts'
import { NSID, socialCollections } from './social.ts'

async function batchesOf(network: FakeNetwork, source: EventSource): Promise<number[]> {
  const reports: BatchReport[] = []
  await using index = await openIndexer({
    store: openSqliteIndexStore(':memory:'),
    collections: socialCollections(),
    now: () => network.now(),
    onBatch: (report) => reports.push(report),
  })
  await index.run(source)
  expect(await index.cursor(source.name)).toBe(network.events.length)
  return reports.map(({ events }) => events)
}

function posts(count: number, text: string): FakeNetwork {
  const network = createFakeNetwork()
  const alice = network.account()
  for (let n = 0; n < count; n++) alice.create(NSID.POST, { text })
  return network
}

it('writes what is ready to be read in one transaction, though the store works on the same thread', async () => {
  const network = posts(2_000, 'x')
  expect(await batchesOf(network, network.source())).toEqual([1_000, 1_000])
})

it('writes an event at once when nothing more is ready', async () => {
  const network = posts(5, 'x')
  const calm: EventSource = {
    name: 'calm',
    async *events() {
      for (const event of network.events) {
        yield event
        for (let turn = 0; turn < 20; turn++) await setImmediate()
      }
    },
  }
  expect(await batchesOf(network, calm)).toEqual([1, 1, 1, 1, 1])
})

it('does not wait for ever while a slow stream brings a little more at every turn', async () => {
  const network = posts(200, 'x')
  const trickle: EventSource = {
    name: 'trickle',
    async *events() {
      for (const event of network.events) {
        yield event
        await setImmediate()
      }
    },
  }
  expect(Math.max(...(await batchesOf(network, trickle)))).toBeLessThan(50)
})

it('reads ahead no more than 16 MiB of records', async () => {
  const network = posts(60, 'x'.repeat(990_000))
  let pulled = 0
  let ahead = 0
  const reports: number[] = []
  const heavy: EventSource = {
    name: 'heavy',
    async *events() {
      for (const event of network.events as IndexEvent[]) {
        pulled++
        ahead = Math.max(ahead, pulled - reports.reduce((sum, events) => sum + events, 0))
        yield event
      }
    },
  }
  await using index = await openIndexer({
    store: openSqliteIndexStore(':memory:'),
    collections: socialCollections(),
    now: () => network.now(),
    onBatch: ({ events }) => reports.push(events),
  })
  await index.run(heavy)
  expect(pulled).toBe(60)
  // What waits and what is being written.
  expect(ahead).toBeLessThan(40)
  expect((await index.select('post').page({ limit: 100 })).rows).toHaveLength(60)
})
