import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { encodeEvent } from '../src/codec.ts'
import { SimulatedNetwork } from '../src/testing/index.ts'
import type { SoakOrder, SoakSample } from './support/soak.ts'

const MINUTES = Number(process.env['SKYWRIGHT_SOAK_MINUTES'] ?? 30)
const EVENTS_PER_TICK = 10
const TICK_MS = 100
const SAMPLES = 60
/** Readings in which buffers and caches fill. */
const WARM_UP = 12
/** How much more may be held in the last third than in the first after the warm-up. */
const MAX_HELD_GROWTH_MB = 8
const MAX_RSS_GROWTH_MB = 32

it(`memory stays flat for ${String(MINUTES)} minutes, with a subscriber and a handler that stall`, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'skywright-soak-'))
  const network = await SimulatedNetwork.create({ accounts: 50, seed: 5, now: () => Date.now() })
  const child = fork(fileURLToPath(new URL('support/soak.ts', import.meta.url)), [folder], {
    serialization: 'advanced',
    execArgv: ['--conditions=@skywright/source', '--no-warnings', '--expose-gc'],
  })
  const order = (one: SoakOrder): void => void child.send(one)
  const heard = async (): Promise<unknown> => (await once(child, 'message'))[0] as unknown
  await heard()
  const sample = async (): Promise<SoakSample> => {
    const answer = heard()
    order({ sample: true })
    return (await answer) as SoakSample
  }
  const keyOf = (one: (typeof network.accounts)[number]) => [one.did, one.key.publicKey.didKey]
  order({ keys: Object.fromEntries(network.accounts.map(keyOf)) as Record<string, string> })
  const first = await network.hosts[0]!.log.read(0, { maxEvents: 1_000 })
  order({ frames: first.map((entry) => entry.frame) })
  let sent = first.length

  const started = performance.now()
  const elapsed = () => performance.now() - started
  const durationMs = MINUTES * 60_000
  const samples: SoakSample[] = []
  for (let tick = 1; elapsed() < durationMs; tick++) {
    const frames: Uint8Array[] = []
    for (let i = 0; i < EVENTS_PER_TICK; i++) {
      const event = await network.write(network.random.pick(network.accounts))
      frames.push(encodeEvent(event, 1))
    }
    order({ frames })
    sent += frames.length
    if (elapsed() >= (durationMs / SAMPLES) * samples.length) samples.push(await sample())
    await sleep(Math.max(0, tick * TICK_MS - elapsed()))
  }
  let last = await sample()
  for (let i = 0; i < 600 && (last.verified < sent || last.paused < sent); i++) {
    await sleep(100)
    last = await sample()
  }
  const ended = once(child, 'exit')
  order({ end: true })
  await ended
  await rm(folder, { recursive: true })

  const held = samples.map((one) => one.heldMb)
  const rss = samples.map((one) => one.rssMb)
  const lastThird = Math.floor((samples.length - WARM_UP) / 3)
  const growth = (values: readonly number[]) =>
    median(values.slice(-lastThird)) - median(values.slice(WARM_UP, WARM_UP + lastThird))
  const result = { ...last, heldGrowthMb: growth(held), rssGrowthMb: growth(rss), held }
  process.stdout.write(`${JSON.stringify(result)}\n`)
  // Who keeps up got everything, proven; who stops now and then lost nothing either.
  expect(last).toMatchObject({ published: sent, verified: sent, paused: sent, refused: 0, gaps: 0 })
  expect(sent).toBeGreaterThan(MINUTES * 60 * 50)
  // The stalls happened.
  expect(last.stuck).toBeGreaterThan(0)
  expect(last.stuck).toBeLessThan(200)
  expect(last.cutOff).toBeGreaterThan(MINUTES / 4)
  expect(growth(held)).toBeLessThan(MAX_HELD_GROWTH_MB)
  expect(growth(rss)).toBeLessThan(MAX_RSS_GROWTH_MB)
})

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[sorted.length >> 1] ?? Number.NaN
}
