import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { build } from 'tsup'
import { beforeAll, describe, expect, it } from 'vitest'
import { openWebSocket } from '../src/adapters/ws.ts'
import { createClient } from '../src/client.ts'
import { subscribe } from '../src/subscribe.ts'
import { examples } from './documents.ts'
import { caseCount } from './portable/cases.ts'
import type { Outcome } from './portable/cases.ts'
import { writeGuideWorker } from './worker-guide.ts'

const root = join(import.meta.dirname, '..')
/** At the root of the repository, so that it is installed once for all packages. */
const runtimes = join(root, '../../.cache/runtimes')
const bundle = join(root, '.cache/runtimes')

function bin(name: string): string {
  return join(runtimes, 'node_modules/.bin', name)
}

/** Installs the runtimes from npm, once. */
function install(): void {
  if (['bun', 'deno', 'miniflare'].every((name) => existsSync(bin(name)))) return
  mkdirSync(runtimes, { recursive: true })
  writeFileSync(join(runtimes, 'package.json'), '{ "private": true, "type": "module" }\n')
  const packages = ['bun@1', 'deno@2', 'miniflare@4']
  const options = { cwd: runtimes, stdio: 'pipe' } as const
  execFileSync('npm', ['install', '--no-audit', '--no-fund', ...packages], options)
}

/** Writes a module and all that it imports as one file, for runtimes without packages. */
async function bundleFor(entry: string): Promise<void> {
  await build({
    config: false,
    silent: true,
    entry: [entry],
    outDir: bundle,
    dts: false,
    format: 'esm',
    target: 'es2023',
    platform: 'browser',
    splitting: false,
    noExternal: [/.*/],
    esbuildOptions: (options) => {
      options.conditions = ['@skywright/source', 'browser']
    },
  })
}

interface MiniflareModule {
  readonly Miniflare: new (options: object) => {
    readonly ready: Promise<URL>
    dispatchFetch(url: string): Promise<{ json(): Promise<unknown> }>
    dispose(): Promise<void>
  }
}

type Miniflare = InstanceType<MiniflareModule['Miniflare']>

/** Starts workerd with modules by name, the first of which is the Worker. */
async function startMiniflare(modules: Readonly<Record<string, string>>): Promise<Miniflare> {
  const entry = pathToFileURL(join(runtimes, 'node_modules/miniflare/dist/src/index.js'))
  const { Miniflare } = (await import(entry.href)) as MiniflareModule
  return new Miniflare({
    modules: Object.entries(modules).map(([path, contents]) => ({
      type: 'ESModule',
      path,
      contents,
    })),
    compatibilityDate: '2026-01-01',
  })
}

const script = join(bundle, 'print.js')
const COMMAND_LINE = `
import { runPortableCases } from './cases.js'
console.log(JSON.stringify(await runPortableCases()))
`
const WORKER = `
import { runPortableCases } from './cases.js'
export default { fetch: async () => Response.json(await runPortableCases()) }
`

describe('the portable suite', () => {
  beforeAll(async () => {
    install()
    await bundleFor(join(root, 'test/portable/cases.ts'))
    writeFileSync(join(bundle, 'package.json'), '{ "type": "module" }\n')
    writeFileSync(script, COMMAND_LINE)
  }, 300_000)

  it.each([
    ['this Node', process.execPath, [script]],
    ['Bun', bin('bun'), [script]],
    ['Deno', bin('deno'), ['run', '--no-prompt', '--allow-net=127.0.0.1', script]],
  ])('passes on %s', (_name, command, args) => {
    const { passed, failed } = JSON.parse(
      execFileSync(command, args, { encoding: 'utf8', cwd: bundle }),
    ) as Outcome
    expect(failed).toEqual([])
    expect(passed).toBe(caseCount)
  })

  it('passes on workerd', async () => {
    const miniflare = await startMiniflare({
      'suite.js': WORKER,
      'cases.js': readFileSync(join(bundle, 'cases.js'), 'utf8'),
    })
    try {
      const response = await miniflare.dispatchFetch('http://localhost/')
      const { passed, failed } = (await response.json()) as Outcome
      expect(failed).toEqual([])
      expect(passed).toBe(caseCount)
    } finally {
      await miniflare.dispose()
    }
  })

  it('has the Worker of the guide serve queries and subscriptions on workerd', async () => {
    await bundleFor(writeGuideWorker('worker-workerd'))
    const contents = readFileSync(join(bundle, 'worker.js'), 'utf8')
    const miniflare = await startMiniflare({ 'worker.js': contents })
    try {
      const service = (await miniflare.ready).origin
      const client = createClient({ service, lexicons: examples })
      expect(await client.query('com.example.getThing', { name: 'a' })).toEqual({ name: 'a' })
      for (const jsonFrames of [false, true]) {
        const seen: number[] = []
        const reading = async (): Promise<void> => {
          const params = { cursor: 5 }
          const options = { service, lexicons: examples, params, jsonFrames, open: openWebSocket }
          for await (const message of subscribe({ ...options, nsid: 'com.example.listen' })) {
            if (message.$type === 'com.example.listen#tick') seen.push(message.seq)
          }
        }
        await expect(reading()).rejects.toMatchObject({ error: 'FutureCursor' })
        expect(seen).toEqual([5, 6, 7])
      }
    } finally {
      await miniflare.dispose()
    }
  }, 30_000)
})
