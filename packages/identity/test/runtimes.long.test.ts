import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'tsup'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const sources = fileURLToPath(new URL('runtimes', import.meta.url))
/** At the root of the repository, so that they are installed once for all packages. */
const runtimes = fileURLToPath(new URL('../../../.cache/runtimes', import.meta.url))

function bin(name: string): string {
  return join(runtimes, 'node_modules/.bin', name)
}

/** Installs the runtimes from npm, once; workerd comes with miniflare. */
function install(): void {
  if (['bun', 'deno', 'miniflare'].every((name) => existsSync(bin(name)))) return
  mkdirSync(runtimes, { recursive: true })
  writeFileSync(join(runtimes, 'package.json'), '{ "private": true, "type": "module" }\n')
  const packages = ['bun@1', 'deno@2', 'miniflare@4']
  const options = { cwd: runtimes, stdio: 'pipe' } as const
  execFileSync('npm', ['install', '--no-audit', '--no-fund', ...packages], options)
}

const WORKERD_CONFIG = `
using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (services = [(name = "main", worker = (
  modules = [
    (name = "worker.js", esModule = embed "worker.js"),
    (name = "portable-check.js", esModule = embed "portable-check.js"),
  ],
  compatibilityDate = "2025-01-01",
))]);
`

const COMMAND_LINE = `
import { portableCheck } from './portable-check.js'
console.log(await portableCheck())
`

/** `workerd test` calls `test` of the default export; a rejection fails it. */
const WORKER = `
import { portableCheck } from './portable-check.js'
export default { async test() { console.log(await portableCheck()) } }
`

describe('other runtimes', () => {
  let folder: string
  beforeAll(async () => {
    install()
    folder = mkdtempSync(join(tmpdir(), 'skywright-runtimes-'))
    writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
    writeFileSync(join(folder, 'config.capnp'), WORKERD_CONFIG)
    writeFileSync(join(folder, 'command-line.js'), COMMAND_LINE)
    writeFileSync(join(folder, 'worker.js'), WORKER)
    await build({
      config: false,
      silent: true,
      entry: [join(sources, 'portable-check.ts')],
      outDir: folder,
      clean: false,
      dts: false,
      format: ['esm'],
      target: 'es2022',
      platform: 'browser',
      splitting: false,
      noExternal: [/.*/],
    })
  }, 300_000)
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  it.each([
    ['this Node', process.execPath, ['command-line.js']],
    ['Bun', bin('bun'), ['command-line.js']],
    ['Deno', bin('deno'), ['run', '--no-prompt', 'command-line.js']],
    ['workerd', bin('workerd'), ['test', 'config.capnp', '--verbose']],
  ])('pass the portable check: %s', (_name, command, args) => {
    // workerd logs to the other stream.
    const { stdout, stderr, status } = spawnSync(command, args, { cwd: folder, encoding: 'utf8' })
    expect(stdout + stderr).toContain('ok on ')
    expect(status).toBe(0)
  })
})
