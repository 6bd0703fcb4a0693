import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { build } from 'tsup'
import { beforeAll, describe, expect, it } from 'vitest'
import { caseCount } from './portable/cases.ts'
import type { Outcome } from './portable/cases.ts'

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

interface MiniflareModule {
  readonly Miniflare: new (options: object) => {
    dispatchFetch(url: string): Promise<{ json(): Promise<unknown> }>
    dispose(): Promise<void>
  }
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
    await build({
      config: false,
      silent: true,
      entry: [join(root, 'test/portable/cases.ts')],
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
    const entry = pathToFileURL(join(runtimes, 'node_modules/miniflare/dist/src/index.js'))
    const { Miniflare } = (await import(entry.href)) as MiniflareModule
    const miniflare = new Miniflare({
      modules: [
        { type: 'ESModule', path: 'worker.js', contents: WORKER },
        {
          type: 'ESModule',
          path: 'cases.js',
          contents: readFileSync(join(bundle, 'cases.js'), 'utf8'),
        },
      ],
      compatibilityDate: '2026-01-01',
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
})
