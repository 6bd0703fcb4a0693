import { describe, expect, it } from 'vitest'

import {
  createMemoryRepoStore,
  decodeCar,
  encodeCar,
  LimitExceededError,
  readRepo,
  Repo,
  type RepoWrite,
  verifyRepo,
} from '../src/index.ts'
import { createTestKey } from '../src/testing/index.ts'
import { createRandom } from './random.ts'

const did = 'did:web:alice.example.com'
const key = createTestKey()
const collection = 'com.example.note'

async function buildCar(records: number, text: (n: number) => string): Promise<Uint8Array> {
  const { repo } = await Repo.create(createMemoryRepoStore(), { did, signer: key })
  for (let at = 0; at < records; at += 200) {
    await repo.applyWrites(
      Array.from({ length: Math.min(200, records - at) }, (_, i): RepoWrite => {
        const record = { $type: collection, text: text(at + i) }
        return { action: 'create', collection, rkey: `k${at + i}`, record }
      }),
    )
  }
  const chunks: Uint8Array[] = []
  for await (const chunk of repo.export()) chunks.push(chunk)
  return new Uint8Array(Buffer.concat(chunks))
}

interface ThreadClock {
  readonly threadCpuUsage?: () => { readonly user: number; readonly system: number }
}

/** Milliseconds this thread has worked; where the runtime cannot tell, milliseconds that passed. */
function workedMs(): number {
  const usage = (process as ThreadClock).threadCpuUsage?.()
  return usage === undefined ? performance.now() : (usage.user + usage.system) / 1000
}

/** The longest this thread worked without a turn of the event loop while `work` ran. Other processes of the machine do not count. */
async function worstLagMs(work: () => Promise<unknown>): Promise<{ worst: number; turns: number }> {
  let worst = 0
  let turns = 0
  let last = workedMs()
  let running = true
  function tick(): void {
    const now = workedMs()
    worst = Math.max(worst, now - last)
    last = now
    turns++
    if (running) setImmediate(tick)
  }
  setImmediate(tick)
  await work()
  running = false
  return { worst, turns }
}

describe('readRepo', () => {
  it('gives the records of an export one after the other, holding next to nothing', async () => {
    const car = await buildCar(2000, (n) => `text ${n}`)
    const chunks = Array.from({ length: Math.ceil(car.length / 1000) }, (_, i) =>
      car.subarray(i * 1000, (i + 1) * 1000),
    )
    let taken = 0
    function* source(): Generator<Uint8Array, void, void> {
      for (const chunk of chunks) {
        taken += chunk.length
        yield chunk
      }
    }
    const reader = await readRepo(source(), { did, key, maxPendingBytes: 0 })
    expect(taken).toBe(1000)
    const paths: string[] = []
    for await (const { path, bytes } of reader.records) {
      expect(bytes.length).toBeGreaterThan(0)
      paths.push(path)
    }
    expect(paths).toEqual(
      [...(await verifyRepo(car, { did, key })).records()].map(({ path }) => path),
    )
    expect(taken).toBe(car.length)
  })

  it('takes a record that is at many paths and sent once', async () => {
    const car = await buildCar(300, () => 'the same')
    const { roots, blocks } = decodeCar(car)
    const once = encodeCar(roots, blocks)
    expect(once.length).toBeLessThan(car.length)
    for (const bytes of [car, once]) {
      let count = 0
      for await (const record of (await readRepo(bytes, { did, key })).records)
        count += record.bytes.length > 0 ? 1 : 0
      expect(count).toBe(300)
    }
  })

  it('takes any order within its bound, and refuses what passes it', async () => {
    const car = await buildCar(300, (n) => `text ${n}`)
    const { roots, blocks } = decodeCar(car)
    const random = createRandom(5)
    const shuffled = [...blocks]
      .map((block) => ({ block, at: random.integer(0, 1e9) }))
      .toSorted((a, b) => a.at - b.at)
    const mixed = encodeCar(
      roots,
      shuffled.map(({ block }) => block),
    )
    let count = 0
    for await (const { path } of (await readRepo(mixed, { did, key })).records)
      count += path.length > 0 ? 1 : 0
    expect(count).toBe(300)
    const read = async (): Promise<void> => {
      for await (const { path } of (await readRepo(mixed, { did, key, maxPendingBytes: 1000 }))
        .records) {
        expect(path.length).toBeGreaterThan(0)
      }
    }
    await expect(read()).rejects.toThrow(LimitExceededError)
    expect((await verifyRepo(mixed, { did, key })).recordCount).toBe(300)
  })

  it('releases the source when the loop is left', async () => {
    const car = await buildCar(300, (n) => `text ${n}`)
    let released = 0
    async function* source(): AsyncGenerator<Uint8Array, void, void> {
      try {
        for (let at = 0; at < car.length; at += 500) yield car.subarray(at, at + 500)
      } finally {
        released++
      }
    }
    for await (const { path } of (await readRepo(source(), { did, key })).records) {
      expect(path.length).toBeGreaterThan(0)
      break
    }
    expect(released).toBe(1)
    await expect(readRepo(source(), { did: 'did:web:other.example.com', key })).rejects.toThrow(
      'did',
    )
    expect(released).toBe(2)
  })
})

describe('long work', () => {
  it('lets the event loop turn at least every 20 ms while verifying a CAR of 30,000 blocks', async () => {
    const car = await buildCar(24_000, (n) => `text ${n}`)
    expect(decodeCar(car).blocks.size).toBeGreaterThan(30_000)
    const verifying = await worstLagMs(() => verifyRepo(car, { did, key }))
    expect(verifying.turns).toBeGreaterThan(5)
    expect(verifying.worst).toBeLessThan(20)
    const reading = await worstLagMs(async () => {
      for await (const { path } of (await readRepo(car, { did, key })).records)
        if (path === '') break
    })
    expect(reading.turns).toBeGreaterThan(5)
    expect(reading.worst).toBeLessThan(20)
  })
})
