import { expect, it } from 'vitest'

import { collection, openIndexer, openLiveView, text } from '../src/index.ts'
import type { Indexer, LiveView } from '../src/index.ts'
import { openSqliteIndexStore } from '../src/stores/sqlite.ts'
import { createFakeNetwork } from '../src/testing/index.ts'

const NOTE = 'com.example.note'
const collections = { note: collection(NOTE, { columns: { title: text('title') } }) }

interface World extends AsyncDisposable {
  readonly view: LiveView<string>
  readonly counts: { rendered: number; failing: boolean }
  readonly errors: unknown[]
  readonly write: (title: string) => Promise<void>
}

async function open(options: { minIntervalMs?: number; maxReaders?: number } = {}): Promise<World> {
  const network = createFakeNetwork()
  const alice = network.account()
  const index: Indexer<typeof collections> = await openIndexer({
    store: openSqliteIndexStore(':memory:'),
    collections,
    now: () => network.now(),
  })
  const counts = { rendered: 0, failing: false }
  const errors: unknown[] = []
  const view = await openLiveView(index, {
    render: async () => {
      counts.rendered++
      if (counts.failing) throw new RangeError('on purpose')
      const { rows } = await index.select('note').page()
      return rows.map(({ title }) => title).join()
    },
    onError: (error) => errors.push(error),
    minIntervalMs: 0,
    ...options,
  })
  return {
    view,
    counts,
    errors,
    write: async (title) => {
      alice.create(NOTE, { title })
      await index.apply(network.events.slice(-1))
    },
    [Symbol.asyncDispose]: async () => {
      await view[Symbol.asyncDispose]()
      await index[Symbol.asyncDispose]()
    },
  }
}

it('shows every reader the present state and each change, rendered once for all', async () => {
  await using world = await open()
  const { view, counts, write } = world
  const readers = Array.from({ length: 50 }, () => view.follow())
  const next = async (): Promise<string[]> =>
    (await Promise.all(readers.map((reader) => reader.next()))).map(({ value }) => String(value))
  expect(new Set(await next())).toEqual(new Set(['']))
  for (const [at, title] of ['a', 'b', 'c'].entries()) {
    const shown = next()
    await write(title)
    const expected = ['c', 'b', 'a'].slice(2 - at).join()
    expect(new Set(await shown)).toEqual(new Set([expected]))
    expect(view.current).toBe(expected)
  }
  expect(counts.rendered).toBe(4)
  for (const reader of readers) await reader.return()
})

it('skips to the latest for a slow reader, and renders no more often than it may', async () => {
  await using world = await open({ minIntervalMs: 50 })
  const { view, counts, write } = world
  const slow = view.follow()
  await slow.next()
  for (let n = 0; n < 200; n++) await write('x')
  const { value } = await slow.next()
  expect(String(value)).toContain('x')
  expect(counts.rendered).toBeLessThan(100)
  await slow.return()
})

it('stays as it was while rendering fails, and goes on with the next change', async () => {
  await using world = await open()
  const { view, counts, errors, write } = world
  const reader = view.follow()
  await reader.next()
  counts.failing = true
  await write('lost')
  while (errors.length === 0) await new Promise((resolve) => setImmediate(resolve))
  expect(view.current).toBe('')
  counts.failing = false
  const next = reader.next()
  await write('found')
  expect((await next).value).toBe('found,lost')
  expect(errors).toHaveLength(1)
})

it('lets readers go by their signal and when it ends, and takes no more than it should', async () => {
  const world = await open({ maxReaders: 2 })
  const { view } = world
  const gone = new AbortController()
  const [one, two] = [view.follow({ signal: gone.signal }), view.follow()]
  await one.next()
  await two.next()
  await expect(view.follow().next()).rejects.toBeInstanceOf(RangeError)
  const waiting = [one.next(), two.next()] as const
  gone.abort()
  expect((await waiting[0]).done).toBe(true)
  const three = view.follow()
  expect((await three.next()).done).toBe(false)
  const last = three.next()
  await world[Symbol.asyncDispose]()
  expect((await waiting[1]).done).toBe(true)
  expect((await last).done).toBe(true)
  expect((await view.follow().next()).done).toBe(true)
})

it('ends, and its readers, while rendering hangs, and tells rendering so', async () => {
  let change = Promise.withResolvers<ReadonlySet<string>>()
  const index = { changed: () => change.promise }
  const signals: AbortSignal[] = []
  const hanging = Promise.withResolvers<string>()
  const rendering = Promise.withResolvers<undefined>()
  const errors: unknown[] = []
  const view = await openLiveView(index, {
    render: ({ signal }) => {
      signals.push(signal)
      if (signals.length === 1) return Promise.resolve('first')
      rendering.resolve(undefined)
      return hanging.promise
    },
    onError: (error) => errors.push(error),
  })
  const reader = view.follow()
  expect((await reader.next()).value).toBe('first')
  const last = reader.next()
  const { resolve } = change
  change = Promise.withResolvers()
  resolve(new Set(['note']))
  await rendering.promise
  expect(signals.map(({ aborted }) => aborted)).toEqual([false, false])
  await view[Symbol.asyncDispose]()
  await view[Symbol.asyncDispose]()
  expect((await last).done).toBe(true)
  expect(signals.map(({ aborted }) => aborted)).toEqual([true, true])
  hanging.reject(new Error('too late'))
  await new Promise((done) => setImmediate(done))
  expect([errors, view.current]).toEqual([[], 'first'])
})

it('listens no more when it could not be rendered for the first time', async () => {
  const signals: AbortSignal[] = []
  const index = {
    changed: ({ signal }: { readonly signal?: AbortSignal } = {}) => {
      if (signal !== undefined) signals.push(signal)
      return new Promise<ReadonlySet<string>>(() => undefined)
    },
  }
  const opening = openLiveView(index, {
    render: () => Promise.reject(new RangeError('on purpose')),
    onError: () => undefined,
  })
  await expect(opening).rejects.toBeInstanceOf(RangeError)
  expect(signals.map(({ aborted }) => aborted)).toEqual([true])
})
