import { describe, expect, it } from 'vitest'

import {
  createMemoryRepoStore,
  importRepo,
  readCar,
  readRepo,
  Repo,
  verifyRepo,
} from '../src/index.ts'
import { createTestKey } from '../src/testing/index.ts'
import { gather } from './support/gather.ts'

const did = 'did:web:alice.example.com'
const key = createTestKey()
const collection = 'com.example.note'

async function buildCar(): Promise<Uint8Array> {
  const { repo } = await Repo.create(createMemoryRepoStore(), { did, signer: key })
  await repo.applyWrites(
    Array.from({ length: 20 }, (_, n) => ({
      action: 'create' as const,
      collection,
      rkey: `k${n}`,
      record: { $type: collection, n },
    })),
  )
  return new Uint8Array(Buffer.concat(await gather(repo.export())))
}

/** A source that gives `bytes` and then nothing, without end. */
function stalledStream(bytes: Uint8Array): {
  readonly source: ReadableStream<Uint8Array>
  readonly cancelled: () => boolean
} {
  let cancelled = false
  const source = new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(bytes)
    },
    cancel() {
      cancelled = true
    },
  })
  return { source, cancelled: () => cancelled }
}

async function* stalledGenerator(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, void> {
  yield bytes
  await new Promise<never>(() => {})
}

const readers: Record<
  string,
  (source: AsyncIterable<Uint8Array>, signal: AbortSignal) => Promise<unknown>
> = {
  verifyRepo: (source, signal) => verifyRepo(source, { did, key, signal }),
  async readRepo(source, signal) {
    const { records } = await readRepo(source, { did, key, signal })
    return gather(records)
  },
  async readCar(source, signal) {
    const { blocks } = await readCar(source, { signal })
    return gather(blocks)
  },
  importRepo: (source, signal) =>
    importRepo(createMemoryRepoStore(), source, { did, key, signer: key, signal }),
}

describe.each(Object.entries(readers))('%s', (_, read) => {
  const reason = new Error('enough')

  it.each([0, 1, 30, 500])(
    'stops waiting for a source that stalls after %i bytes',
    async (length) => {
      const car = await buildCar()
      for (const make of [
        (bytes: Uint8Array) => stalledStream(bytes),
        (bytes: Uint8Array) => ({ source: stalledGenerator(bytes), cancelled: () => true }),
      ]) {
        const { source, cancelled } = make(car.subarray(0, length))
        const controller = new AbortController()
        const reading = read(source, controller.signal)
        setImmediate(() => controller.abort(reason))
        await expect(reading).rejects.toBe(reason)
        expect(cancelled()).toBe(true)
      }
    },
  )

  it('does nothing under a signal that is aborted already', async () => {
    const { source, cancelled } = stalledStream(await buildCar())
    await expect(read(source, AbortSignal.abort(reason))).rejects.toBe(reason)
    expect(cancelled()).toBe(true)
  })
})

describe('importRepo', () => {
  it('stops waiting for a signer, and stores nothing', async () => {
    const store = createMemoryRepoStore()
    const controller = new AbortController()
    const reason = new Error('enough')
    const signer = {
      sign(): Promise<never> {
        controller.abort(reason)
        return new Promise(() => {})
      },
    }
    const importing = importRepo(store, await buildCar(), {
      did,
      key,
      signer,
      signal: controller.signal,
    })
    await expect(importing).rejects.toBe(reason)
    expect(await store.getHead(did)).toBeUndefined()
  })
})

describe('a reader that is not looped over', () => {
  it('releases its source when it is told to return', async () => {
    const car = await buildCar()
    for (const open of [
      async (source: ReadableStream<Uint8Array>) => (await readRepo(source, { did, key })).records,
      async (source: ReadableStream<Uint8Array>) => (await readCar(source)).blocks,
    ]) {
      const { source, cancelled } = stalledStream(car)
      const items = await open(source)
      await items.return()
      expect(cancelled()).toBe(true)
      expect(await items.next()).toEqual({ done: true, value: undefined })
    }
  })
})

describe('a source that is none', () => {
  it.each([null, undefined, 7, {}])('is the caller’s mistake: %j', async (source) => {
    // As a caller without types could write it: the body of a response may be null.
    const wrong = source as unknown as Uint8Array
    await expect(readRepo(wrong)).rejects.toThrow('source must be bytes or give them in pieces')
    await expect(verifyRepo(wrong)).rejects.toThrow('source must be bytes or give them in pieces')
  })

  it('that gives text says so', async () => {
    const wrong = ['text'] as unknown as Uint8Array[]
    await expect(verifyRepo(wrong)).rejects.toThrow('source must give Uint8Array pieces')
    await expect(readCar(wrong)).rejects.toThrow('source must give Uint8Array pieces')
  })
})
