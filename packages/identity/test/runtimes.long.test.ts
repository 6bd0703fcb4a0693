import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'tsup'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const sources = fileURLToPath(new URL('runtimes', import.meta.url))

function isInstalled(command: string): boolean {
  const installed = spawnSync(command, ['--version']).status === 0
  if (!installed) process.emitWarning(`skipped: ${command} is not on the path`)
  return installed
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
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  it.for([
    ['node', ['command-line.js']],
    ['bun', ['command-line.js']],
    ['deno', ['run', 'command-line.js']],
    ['workerd', ['test', 'config.capnp', '--verbose']],
  ] as const)('%s passes the portable check', ([command, args], { skip }) => {
    skip(!isInstalled(command))
    const printed = execFileSync(command, args, { cwd: folder, encoding: 'utf8', stdio: 'pipe' })
    expect(printed).toContain(command === 'workerd' ? '' : 'ok on ')
  })
})
