import { execFile, execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { build } from 'tsup'

/** At the root of the repository, so that they are installed once for all packages. */
const runtimes = join(import.meta.dirname, '../../../../.cache/runtimes')

interface MiniflareModule {
  readonly Miniflare: new (options: object) => {
    dispatchFetch(url: string): Promise<{ json(): Promise<unknown> }>
    dispose(): Promise<void>
  }
}

/** The programs that run a bundle, and what stands before its path. */
export const COMMANDS: readonly (readonly [name: string, command: () => readonly string[]])[] = [
  ['this Node', () => [process.execPath]],
  ['Bun', () => [bin('bun')]],
  ['Deno', () => [bin('deno'), 'run', '--no-prompt', '--allow-net=127.0.0.1']],
]

function bin(name: string): string {
  return join(runtimes, 'node_modules/.bin', name)
}

/** Installs the runtimes from npm, once. */
export function installRuntimes(): void {
  if (['bun', 'deno', 'miniflare'].every((name) => existsSync(bin(name)))) return
  mkdirSync(runtimes, { recursive: true })
  writeFileSync(join(runtimes, 'package.json'), '{ "private": true, "type": "module" }\n')
  const packages = ['bun@1', 'deno@2', 'miniflare@4']
  const options = { cwd: runtimes, stdio: 'pipe' } as const
  execFileSync('npm', ['install', '--no-audit', '--no-fund', ...packages], options)
}

/** Bundles a module for any runtime as `cases.js` of a folder. Fails when it reaches for anything of Node. */
export async function bundleCases(entry: string, folder: string): Promise<void> {
  await build({
    config: false,
    silent: true,
    entry: { cases: entry },
    outDir: folder,
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

/** What workerd gives for the value of an expression over `cases.js`. */
export async function runOnWorkerd(folder: string, expression: string): Promise<unknown> {
  const entry = pathToFileURL(join(runtimes, 'node_modules/miniflare/dist/src/index.js'))
  const { Miniflare } = (await import(entry.href)) as MiniflareModule
  const worker = `import * as cases from './cases.js'
export default { fetch: async () => Response.json(await ${expression}) }
`
  const miniflare = new Miniflare({
    modules: [
      { type: 'ESModule', path: 'worker.js', contents: worker },
      {
        type: 'ESModule',
        path: 'cases.js',
        contents: readFileSync(join(folder, 'cases.js'), 'utf8'),
      },
    ],
    compatibilityDate: '2026-01-01',
  })
  try {
    const response = await miniflare.dispatchFetch('http://localhost/')
    return await response.json()
  } finally {
    await miniflare.dispose()
  }
}
