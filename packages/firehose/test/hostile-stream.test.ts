import { describe, expect, it } from 'vitest'
import { encodeEvent } from '../src/codec.ts'
import { patchSeq } from '../src/peek.ts'
import { runRepos } from '../src/run.ts'
import type { FirehoseIssue } from '../src/stream-event.ts'
import { createRandom, SimulatedNetwork, type Random } from '../src/testing/index.ts'
import { createMemoryChainStore } from '../src/verify/chain-store.ts'
import { createEventVerifier } from '../src/verify/verifier.ts'

const service = 'wss://relay.test'
const END = 'did:plc:eeeeeeeeeeeeeeeeeeeeeeee'

/** Ways to spoil a frame. */
const spoil: readonly ((frame: Uint8Array, random: Random) => Uint8Array)[] = [
  (frame, random) => {
    const copy = Uint8Array.from(frame)
    for (let i = 1 + random.integer(4); i > 0; i--) {
      const at = random.integer(copy.length)
      copy[at] = (copy[at] ?? 0) ^ (1 << random.integer(8))
    }
    return copy
  },
  (frame, random) => frame.subarray(0, random.integer(frame.length)),
  (frame, random) => Buffer.concat([frame, random.bytes(1 + random.integer(9))]),
  (_, random) => random.bytes(random.integer(200)),
  () => new Uint8Array(),
  // Lengths that lie: a map, an array, a byte string and a text of 2^63 and more.
  (frame, random) => {
    const head = random.pick([0xbb, 0x9b, 0x5b, 0x7b])
    return Buffer.concat([Uint8Array.of(head, 255, 255, 255, 255, 255, 255, 255, 255), frame])
  },
  // A CAR whose section is longer than everything, by a number of ten bytes.
  (frame, random) => {
    const copy = Uint8Array.from(frame)
    const at = random.integer(Math.max(1, copy.length - 12))
    copy.set(
      [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01].slice(0, copy.length - at),
      at,
    )
    return copy
  },
  // As deep as it is long.
  () => new Uint8Array(20_000).fill(0x81),
]

/** A frame that was spoilt, under the number it had where one can still be found. */
function spoilt(frame: Uint8Array, seq: number, random: Random): Uint8Array {
  const bytes = random.pick(spoil)(frame, random)
  try {
    return patchSeq(bytes, seq)
  } catch {
    return bytes
  }
}

describe('a stream of which a part is spoilt', () => {
  it.each(Array.from({ length: 12 }, (_, seed) => seed))(
    'gives everything else, and counts add up (%i)',
    async (seed) => {
      const random = createRandom(seed + 100)
      const network = await SimulatedNetwork.create({ accounts: 4, seed })
      for (let i = 0; i < 80; i++) await network.step()
      const entries = await network.hosts[0]!.log.read(0, { maxEvents: 1_000, maxBytes: 1e9 })
      const whole = new Set<number>()
      const frames = entries.map(({ frame, seq }) => {
        if (random.chance(0.15)) return spoilt(frame, seq, random)
        whole.add(seq)
        return frame
      })
      const last = frames.length + 1
      const time = '2027-01-01T00:00:00.000Z'
      frames.push(encodeEvent({ type: 'identity', seq: last, did: END, time }, last))
      expect(frames.length - whole.size).toBeGreaterThan(5)

      const stop = new AbortController()
      const issues: FirehoseIssue[] = []
      const delivered: number[] = []
      const counts = await runRepos({
        service,
        cursor: 0,
        // A frame without a number is at the place of its number, as a relay has it stored.
        open: async function* (url, { signal }) {
          const cursor = Number(new URL(url).searchParams.get('cursor'))
          yield* frames.slice(cursor)
          if (signal.aborted) return
          await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
        },
        verify: createEventVerifier({
          identity: network.identitySource(),
          chain: createMemoryChainStore(),
          policy: 'relay',
          now: network.now,
        }),
        backoff: { baseMs: 1, maxMs: 1 },
        lagMs: Infinity,
        concurrency: 1,
        signal: stop.signal,
        onIssue: (issue) => issues.push(issue),
        handle: (event) => {
          delivered.push(event.seq)
          if (event.did === END) stop.abort()
        },
      })
      const { received, ...rest } = counts
      expect(Object.values(rest).reduce((sum, count) => sum + count, 0)).toBe(received)
      const got = new Set(delivered)
      expect([...whole].filter((seq) => !got.has(seq))).toEqual([])
      expect(delivered).toEqual(delivered.toSorted((a, b) => a - b))
      expect(got.size).toBe(delivered.length)
      const told = issues.filter(({ kind }) => kind !== 'reconnect' && kind !== 'discontinuous')
      expect(told.length).toBeGreaterThan(0)
    },
  )
})
