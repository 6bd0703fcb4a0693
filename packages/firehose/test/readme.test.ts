import { execFile } from 'node:child_process'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { metrics } from '@opentelemetry/api'
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { subscribeRepos } from '../src/subscribe.ts'
import type { StreamObserver } from '../src/tally.ts'
import { SimulatedNetwork } from '../src/testing/index.ts'

const run = promisify(execFile)
const root = fileURLToPath(new URL('..', import.meta.url))
const folder = join(root, '.cache', 'readme')
const readme = await readFile(join(root, 'README.md'), 'utf8')
const blocks = [...readme.matchAll(/```ts\n(.*?)```/gs)].map(([, code = '']) => code)
const fileOf = (index: number) => join(folder, `block${String(index)}.ts`)

describe('the README', () => {
  beforeAll(async () => {
    await mkdir(folder, { recursive: true })
    for (const [index, code] of blocks.entries()) await writeFile(fileOf(index), code)
    const config = {
      extends: '../../../../tsconfig.base.json',
      compilerOptions: {
        composite: false,
        declaration: false,
        isolatedDeclarations: false,
        noEmit: true,
      },
      include: ['*.ts'],
    }
    await writeFile(join(folder, 'tsconfig.json'), JSON.stringify(config))
  })
  afterAll(async () => {
    await rm(folder, { recursive: true, force: true })
  })

  it('is short enough and has the blocks this test expects', () => {
    expect(readme.split('\n').length).toBeLessThanOrEqual(250)
    expect(blocks).toHaveLength(4)
  })

  it('has blocks that compile', async () => {
    const tsc = join(root, '../../node_modules/.bin/tsc')
    const failure = await run(tsc, ['-p', folder]).catch((error: { stdout: string }) => error)
    expect(failure.stdout).toBe('')
  })

  it.each(blocks.map((_, index) => index))('has a block %i that runs', async (index) => {
    const flags = ['--conditions=@skywright/source', '--disable-warning=ExperimentalWarning']
    await run(process.execPath, [...flags, '--experimental-strip-types', fileOf(index)], {
      cwd: folder,
    })
  })

  it('has a block that makes a log of a repository, event and commit in one transaction', async () => {
    const url = fileOf(1)
    const { firstPost, log } = (await import(/* @vite-ignore */ url)) as {
      firstPost: (did: string, signer: unknown) => Promise<Uint8Array | undefined>
      log: { bounds(): { last: number } }
    }
    const { generatePrivateKey } = await import('@skywright/identity/keys')
    const before = log.bounds().last
    const key = generatePrivateKey('k256')
    const frame = await firstPost('did:plc:aaaaaaaaaaaaaaaaaaaaaaaa', key)
    expect(frame).toBeInstanceOf(Uint8Array)
    expect(log.bounds().last).toBe(before + 2)
  })

  it('has a block that measures a stream with OpenTelemetry', async () => {
    const url = fileOf(2)
    const { createOpenTelemetryObserver } = (await import(/* @vite-ignore */ url)) as {
      createOpenTelemetryObserver: () => StreamObserver
    }
    const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
    // Exports when it is told to, at the end.
    const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 })
    const provider = new MeterProvider({ readers: [reader] })
    metrics.setGlobalMeterProvider(provider)
    const network = await SimulatedNetwork.create({ accounts: 3, seed: 12 })
    for (let i = 0; i < 40; i++) await network.step()
    const [host] = network.hosts
    const { last } = host!.log.bounds()
    const { open } = network.loopback
    let frames = 0
    for await (const { seq } of subscribeRepos({
      service: host!.url,
      cursor: 0,
      verify: false,
      open,
      onIssue: () => undefined,
      observe: createOpenTelemetryObserver(),
      lagMs: Infinity,
    })) {
      frames++
      if (seq === last) break
    }
    await provider.forceFlush()
    const [exported] = exporter.getMetrics()
    await provider.shutdown()
    const points = new Map(
      exported!.scopeMetrics[0]!.metrics.map(({ descriptor, dataPoints }) => [
        descriptor.name,
        dataPoints.map(({ value, attributes }) => ({ value, ...attributes })),
      ]),
    )
    const total = (name: string): number =>
      points.get(name)!.reduce((sum, { value }) => sum + Number(value), 0)
    expect(total('firehose.frames')).toBe(frames)
    expect(total('firehose.bytes')).toBeGreaterThan(frames * 100)
    expect(points.get('firehose.outcomes')).toContainEqual({
      value: 3,
      source: host!.url,
      type: 'identity',
      outcome: 'delivered',
      reason: undefined,
    })
    expect(points.get('firehose.waiting')).toHaveLength(1)
    expect(points.get('firehose.lag')![0]!.value).toMatchObject({ count: frames })
  })
})
