import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

import { build } from 'tsup'
import { beforeAll, describe, expect, it } from 'vitest'

import { portableCases } from './portable/cases.ts'

const packageFolder = fileURLToPath(new URL('..', import.meta.url))
const folder = join(packageFolder, '.cache', 'runtimes')
const bin = (name: string): string => join(folder, 'node_modules', '.bin', name)

/** Installs the runtimes from npm, once. */
function install(): void {
  mkdirSync(folder, { recursive: true })
  if (existsSync(bin('bun')) && existsSync(bin('deno')) && existsSync(bin('miniflare'))) return
  writeFileSync(join(folder, 'package.json'), '{ "private": true, "type": "module" }\n')
  execFileSync(
    'npm',
    ['install', '--no-audit', '--no-fund', 'bun@1', 'deno@2', 'miniflare@4', 'node@22'],
    {
      cwd: folder,
      stdio: 'pipe',
    },
  )
}

interface Outcome {
  readonly passed: number
  readonly failed: readonly string[]
}

interface MiniflareModule {
  readonly Miniflare: new (options: object) => {
    dispatchFetch(url: string): Promise<{ json(): Promise<unknown> }>
    dispose(): Promise<void>
  }
}

describe('the portable suite', () => {
  beforeAll(async () => {
    install()
    await build({
      entry: {
        print: join(packageFolder, 'test/portable/print.ts'),
        worker: join(packageFolder, 'test/portable/worker.ts'),
      },
      outDir: join(folder, 'bundle'),
      config: false,
      format: 'esm',
      platform: 'browser',
      target: 'es2023',
      noExternal: [/.*/],
      splitting: false,
      silent: true,
      dts: false,
    })
  }, 300_000)

  const script = join(folder, 'bundle', 'print.js')

  it.each([
    ['this Node', process.execPath, [script]],
    ['Node 22', bin('node'), [script]],
    ['Bun', bin('bun'), [script]],
    ['Deno', bin('deno'), ['run', '--no-prompt', script]],
  ])('passes on %s', (_name, command, args) => {
    const output = execFileSync(command, args, { encoding: 'utf8', cwd: folder })
    const { passed, failed } = JSON.parse(output) as Outcome
    expect(failed).toEqual([])
    expect(passed).toBe(portableCases().length)
  })

  it('passes on workerd', async () => {
    const entry = pathToFileURL(join(folder, 'node_modules/miniflare/dist/src/index.js'))
    const { Miniflare } = (await import(entry.href)) as MiniflareModule
    const miniflare = new Miniflare({
      script: readFileSync(join(folder, 'bundle', 'worker.js'), 'utf8'),
      compatibilityDate: '2026-01-01',
    })
    try {
      const response = await miniflare.dispatchFetch('http://localhost/')
      const { passed, failed } = (await response.json()) as Outcome
      expect(failed).toEqual([])
      expect(passed).toBe(portableCases().length)
    } finally {
      await miniflare.dispose()
    }
  })
})
