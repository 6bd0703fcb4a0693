import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { relayCases } from '@skywright/firehose/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { end, freePort, startProcess } from './support/process.ts'

const CHECK = fileURLToPath(new URL('../src/check-relay.ts', import.meta.url))

let stack: AsyncDisposableStack
let plcPort: number

beforeEach(async () => {
  stack = new AsyncDisposableStack()
  plcPort = await freePort()
})
afterEach(() => stack.disposeAsync())

/** A relay as a process of its own; gives its URL. */
async function startRelay(enforcement: string): Promise<string> {
  const directory = mkdtempSync(join(tmpdir(), 'relay-check-'))
  stack.defer(() => rmSync(directory, { recursive: true, force: true }))
  const { child, url } = await startProcess({
    RELAY_PORT: '0',
    RELAY_DATA_DIRECTORY: directory,
    RELAY_DEVELOPMENT: 'true',
    RELAY_PLC_URL: `http://localhost:${String(plcPort)}`,
    RELAY_ENFORCEMENT: enforcement,
    RELAY_LOG_LEVEL: 'error',
  })
  stack.defer(async () => {
    expect(await end(child, 'SIGTERM')).toBe(0)
  })
  return url
}

/** Runs the check as a stranger does, over nothing but HTTP and WebSockets. */
async function check(...args: readonly string[]) {
  return await new Promise<{ readonly code: unknown; readonly output: string }>((resolve) => {
    execFile(
      process.execPath,
      ['--conditions=@skywright/source', CHECK, '--plc-port', String(plcPort), ...args],
      (error, stdout, stderr) => resolve({ code: error?.code ?? 0, output: stdout + stderr }),
    )
  })
}

const count = (text: string, word: string): number => text.split(`${word} `).length - 1

/** Several processes, told a hundred stories over sockets. */
const TIMEOUT_MS = 180_000

describe('check-relay', { timeout: TIMEOUT_MS }, () => {
  it('finds nothing wrong with a relay of ours, a process of its own', async () => {
    const url = await startRelay('enforce')
    const { code, output } = await check('--seconds', '20', url)
    expect(output).not.toContain('FAILED')
    expect(count(output, 'ok')).toBe(relayCases.length + 1)
    expect(Number(/(\d+) lies of/.exec(output)?.[1])).toBeGreaterThan(45)
    expect(code).toBe(0)
    // Once more, with other accounts: what the relay remembers is not in the way.
    expect((await check('--seconds', '20', '--reencodes', url)).code).toBe(0)
  })

  it('knows what a relay does that tolerates, and finds it wanting when it should not', async () => {
    const url = await startRelay('observe')
    const lenient = await check('--seconds', '20', '--lenient', url)
    expect(lenient.output).not.toContain('FAILED')
    expect(count(lenient.output, 'ok')).toBe(relayCases.length)
    const strict = await check('--seconds', '2', url)
    expect(strict.code).toBe(1)
    expect(count(strict.output, 'FAILED')).toBe(3)
    expect(strict.output).toContain('forged all operations left out')
    // What no mode lets through.
    expect(strict.output).not.toContain('forged signature')
  })

  it.each(['', 'no-url', '--strict http://localhost:1', '--seconds soon http://localhost:1'])(
    'says how it is used when it is told %j',
    async (args) => {
      const { code, output } = await check(...args.split(' ').filter((arg) => arg !== ''))
      expect(code).toBe(2)
      expect(output).toMatch(/^usage: check-relay/)
    },
  )
})
