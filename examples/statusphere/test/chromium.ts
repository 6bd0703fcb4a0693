import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

/** The parts of playwright-core that are used here: it is not installed with the workspace, nor are its types. */
export interface Browser {
  newContext(options?: object): Promise<BrowserContext>
  close(): Promise<void>
}
export interface BrowserContext {
  newPage(): Promise<BrowserPage>
  cookies(): Promise<readonly Readonly<Record<string, unknown>>[]>
  close(): Promise<void>
}
export interface BrowserPage {
  on(event: 'console', listener: (message: { type(): string; text(): string }) => void): void
  on(event: 'pageerror', listener: (error: Error) => void): void
  goto(url: string): Promise<unknown>
  setContent(html: string): Promise<void>
  fill(selector: string, text: string): Promise<void>
  click(selector: string): Promise<void>
  waitForURL(url: string | RegExp): Promise<void>
  waitForSelector(selector: string, options?: object): Promise<unknown>
  innerText(selector: string): Promise<string>
  evaluate<T>(expression: string): Promise<T>
  screenshot(options: { readonly path: string }): Promise<unknown>
}

const folder = join(import.meta.dirname, 'chromium')
/** No sandbox: containers often have neither the namespaces nor the user for it. The pages are our own. */
const ARGUMENTS = ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage']

/** Installs the browser on first use; `undefined` where there is none, having said why. */
export async function openChromium(): Promise<Browser | undefined> {
  if (process.platform !== 'linux') return unavailable('it is packed for Linux only')
  if (!install()) return unavailable('it could not be installed')
  const require = createRequire(join(folder, 'package.json'))
  const load = async (name: string): Promise<unknown> =>
    import(pathToFileURL(require.resolve(name)).href)
  // What the two packages export, as far as it is used.
  const packed = (await load('@sparticuz/chromium')) as {
    readonly default: { executablePath(): Promise<string> }
  }
  const { chromium } = ((await load('playwright-core')) as { readonly default: unknown })
    .default as { readonly chromium: { launch(options: object): Promise<Browser> } }
  const executablePath = await packed.default.executablePath()
  return chromium.launch({ executablePath, args: ARGUMENTS, headless: true })
}

function unavailable(reason: string): undefined {
  process.emitWarning(`skipped: no Chromium, ${reason}`)
  return undefined
}

function install(): boolean {
  const lock = readFileSync(join(folder, 'pnpm-lock.yaml'))
  const stamp = join(folder, 'node_modules', '.skywright-lock')
  if (existsSync(stamp) && readFileSync(stamp).equals(lock)) return true
  const { status } = spawnSync('pnpm', ['install', '--frozen-lockfile', '--reporter=silent'], {
    cwd: folder,
    stdio: 'inherit',
  })
  if (status !== 0) return false
  writeFileSync(stamp, lock)
  return true
}
