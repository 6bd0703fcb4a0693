import { describe, expect, it } from 'vitest'
import { collection, type EventSource, openIndexer, text } from '../src/index.ts'
import { openSqliteIndexStore } from '../src/stores/sqlite.ts'
import { createFakeNetwork } from '../src/testing/index.ts'

describe('handles', () => {
  it('are told to live queries when they were looked up after the records came in', async () => {
    const network = createFakeNetwork()
    const alice = network.account()
    alice.create('com.example.note', { title: 'one' })
    const asked = Promise.withResolvers<void>()
    const answer = Promise.withResolvers<string>()
    await using index = await openIndexer({
      store: openSqliteIndexStore(':memory:'),
      collections: { note: collection('com.example.note', { columns: { title: text('title') } }) },
      resolveHandle: () => {
        asked.resolve()
        return answer.promise
      },
    })
    const stop = new AbortController()
    const stays: EventSource = {
      name: 'stays',
      async *events(options) {
        yield* network.source().events(options)
        await new Promise<void>((resolve) => {
          options.signal.addEventListener('abort', () => resolve(), { once: true })
        })
      },
    }
    const running = index.run(stays, { signal: stop.signal })
    const seen: (string | undefined)[] = []
    for await (const rows of index.select('note').live({ signal: AbortSignal.timeout(10_000) })) {
      if (rows.length === 0) continue
      seen.push((await index.actor(alice.did))?.handle)
      if (seen.at(-1) !== undefined) break
      await asked.promise
      answer.resolve('alice.example.com')
    }
    expect(seen).toEqual([undefined, 'alice.example.com'])
    stop.abort()
    await running
  })
})
