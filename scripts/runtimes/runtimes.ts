// Bun, Deno, workerd and an older Node, for the tests that show that a package runs on them.
import { execFile, execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { build } from 'tsup'

/** At the root of the repository, so that they are installed once for all packages. */
const runtimes: string = join(import.meta.dirname, '../../.cache/runtimes')

/** A running workerd. */
export interface Miniflare {
  readonly ready: Promise<URL>
  dispatchFetch(url: string): Promise<{ json(): Promise<unknown> }>
  dispose(): Promise<void>
}

interface MiniflareModule {
  readonly Miniflare: new (options: object) => Miniflare
}

/** The programs that run a bundle, and what stands before its path. */
export const COMMANDS: readonly (readonly [name: string, command: () => readonly string[]])[] = [
  ['this Node', () => [process.execPath]],
  ['Node 22', () => [bin('node')]],
  ['Bun', () => [bin('bun')]],
  ['Deno', () => [bin('deno'), 'run', '--no-prompt', '--allow-net=127.0.0.1']],
]

function bin(name: string): string {
  return join(runtimes, 'node_modules/.bin', name)
}

/** Installs the runtimes from npm, once. */
export function installRuntimes(): void {
  if (['node', 'bun', 'deno', 'miniflare'].every((name) => existsSync(bin(name)))) return
  mkdirSync(runtimes, { recursive: true })
  writeFileSync(join(runtimes, 'package.json'), '{ "private": true, "type": "module" }\n')
  const packages = ['node@22', 'bun@1', 'deno@2', 'miniflare@4']
  const options = { cwd: runtimes, stdio: 'pipe' } as const
  execFileSync('npm', ['install', '--no-audit', '--no-fund', ...packages], options)
}

/**
 * Bundles a module for any runtime as one file of a folder, `cases.js` unless it is named otherwise. Fails when it reaches
 * for anything of Node.
 */
export async function bundle(entry: string, folder: string, name = 'cases'): Promise<void> {
  await build({
    config: false,
    silent: true,
    entry: { [name]: entry },
    outDir: folder,
    clean: false,
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
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }\n')
}

/** What a program prints for the value of an expression over `cases.js`, from JSON. */
export async function runOn(
  command: readonly string[],
  folder: string,
  expression: string,
): Promise<unknown> {
  const script = join(folder, 'print.js')
  const source = `import * as cases from './cases.js'\nconsole.log(JSON.stringify(await ${expression}))\n`
  writeFileSync(script, source)
  const [program = '', ...args] = command
  const { stdout } = await promisify(execFile)(program, [...args, script], { cwd: folder })
  return JSON.parse(stdout)
}

/** Starts workerd with modules by name, the first of which is the Worker. */
export async function startMiniflare(
  modules: Readonly<Record<string, string>>,
): Promise<Miniflare> {
  const entry = pathToFileURL(join(runtimes, 'node_modules/miniflare/dist/src/index.js'))
  // What the package says it exports.
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

/** What workerd gives for the value of an expression over `cases.js`. */
export async function runOnWorkerd(folder: string, expression: string): Promise<unknown> {
  const miniflare = await startMiniflare({
    'worker.js': `import * as cases from './cases.js'
export default { fetch: async () => Response.json(await ${expression}) }
`,
    'cases.js': readFileSync(join(folder, 'cases.js'), 'utf8'),
  })
  try {
    const response = await miniflare.dispatchFetch('http://localhost/')
    return await response.json()
  } finally {
    await miniflare.dispose()
  }
}
