import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { RepoEvent } from '@skywright/firehose'
import { expect } from 'vitest'
import { type FakeAccount, type FakeHost, startFakeHost } from './host.ts'
import { listen, startFakePlc } from './plc.ts'
import { type Subscriber, subscribe } from './subscriber.ts'

/** What `pnpm start` runs. */
export const MAIN: string = fileURLToPath(new URL('../../src/main.ts', import.meta.url))

export interface RelayProcess {
  readonly child: ChildProcess
  readonly url: string
  readonly lines: readonly string[]
}

export interface ProcessOptions {
  /** Largest file it may write, in kilobytes: a disk that is full, for this process. */
  readonly maxFileKilobytes?: number
}

/** Starts the relay as its own process, with this environment and no other. */
export async function startProcess(
  env: Record<string, string>,
  args: readonly string[] = [],
  { maxFileKilobytes }: ProcessOptions = {},
): Promise<RelayProcess> {
  const command = [process.execPath, '--conditions=@skywright/source', MAIN, ...args]
  const limit = maxFileKilobytes === undefined ? '' : `ulimit -f ${String(maxFileKilobytes)}; `
  const child = spawn('bash', ['-c', `${limit}exec "$@"`, 'relay', ...command], {
    env: { PATH: process.env['PATH'] ?? '', ...env },
    stdio: ['ignore', 'pipe', maxFileKilobytes === undefined ? 'inherit' : 'ignore'],
  })
  const lines: string[] = []
  const url = await new Promise<string>((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`relay exited; code=${String(code)}`)))
    createInterface({ input: child.stdout ?? process.stdin }).on('line', (line) => {
      lines.push(line)
      const found = /^relay listening on (\S+)$/.exec(line)?.[1]
      if (found !== undefined) resolve(found)
    })
  })
  return { child, url, lines }
}

/** Ends a process; gives its exit code. */
export async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
  const exited = once(child, 'exit')
  child.kill(signal)
  const [code] = (await exited) as [number | null]
  return code
}

/** A port nobody has just now, for processes that come back on the same one. */
export async function freePort(): Promise<number> {
  const server = createServer()
  const port = await listen(server)
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** What identifies an event independently of the relay's numbers. */
function identify(event: RepoEvent): string {
  const { seq: _seq, ...rest } = event
  return JSON.stringify({
    ...rest,
    ...('blocks' in rest ? { blocks: rest.blocks.length } : {}),
    ...('commit' in rest ? { commit: rest.commit.toString() } : {}),
    ...('ops' in rest ? { ops: rest.ops.length } : {}),
    ...('prevData' in rest ? { prevData: rest.prevData?.toString() } : {}),
  })
}

/**
 * Kills a relay again and again while two hosts write, then checks that a subscriber that always came back from its
 * cursor heard every event exactly once, that the log says the same, and that SIGTERM ends it in order.
 */
export async function checkKills(kills: number): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'relay-kill-'))
  await using stack = new AsyncDisposableStack()
  stack.defer(() => rmSync(directory, { recursive: true, force: true }))
  const plc = stack.use(await startFakePlc())
  const hosts: FakeHost[] = []
  for (let i = 0; i < 2; i++) hosts.push(stack.use(await startFakeHost({ plc })))
  const env = {
    RELAY_PORT: String(await freePort()),
    RELAY_DATA_DIRECTORY: directory,
    RELAY_PLC_URL: plc.url,
    RELAY_DEVELOPMENT: 'true',
    RELAY_BIND_ADDRESS: '127.0.0.1',
    RELAY_LOG_LEVEL: 'warn',
    // Most of a round is starting the process. Only one that ends in order leaves its compiled code to the next ones.
    NODE_COMPILE_CACHE: join(directory, 'compiled'),
  }
  expect(await end((await startProcess(env)).child, 'SIGTERM')).toBe(0)
  let relay = await startProcess(env)
  stack.defer(() => void relay.child.kill('SIGKILL'))
  for (const { hostname } of hosts) {
    const response = await fetch(`${relay.url}/xrpc/com.atproto.sync.requestCrawl`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ hostname }),
    })
    expect(response.status).toBe(200)
  }

  const accounts: { readonly host: FakeHost; readonly account: FakeAccount }[] = []
  for (const host of hosts) {
    for (let i = 0; i < 3; i++) accounts.push({ host, account: await host.createAccount() })
  }
  const heard: RepoEvent[] = []
  const follow = (url: string): Promise<Subscriber> => subscribe(url, heard.at(-1)?.seq ?? 0)
  let n = 0
  for (let kill = 0; kill < kills; kill++) {
    const subscriber = await follow(relay.url)
    const quota = 5 + ((kill * 7) % 23)
    const dying = (async (): Promise<void> => {
      await subscriber.until((s) => s.repoEvents().length >= quota, 'events before a kill')
      await end(relay.child, 'SIGKILL')
    })()
    for (let i = 0; i < 30; i++) {
      const { host, account } = accounts[n % accounts.length] ?? {
        host: undefined,
        account: undefined,
      }
      if (host === undefined) break
      if (n % 10 === 9) {
        const time = new Date(1_700_000_000_000 + n).toISOString()
        await host.emit({ type: 'account', seq: 0, did: account.did, active: true, time })
      } else await host.post(account, `post ${String(n)}`)
      n++
    }
    await dying
    await subscriber.closed
    heard.push(...subscriber.repoEvents())
    relay = await startProcess(env)
  }
  const expected = hosts.reduce((total, host) => total + host.lastSeq(), 0)
  await using last = await follow(relay.url)
  await last.until((s) => heard.length + s.repoEvents().length >= expected, 'all events')
  heard.push(...last.repoEvents())
  const ids = heard.map(identify)
  expect(ids).toHaveLength(expected)
  expect(new Set(ids).size).toBe(expected)
  expect(expected).toBe(6 * 3 + kills * 30)
  expect(heard.every((event, i) => i === 0 || event.seq > (heard[i - 1]?.seq ?? 0))).toBe(true)

  // The log itself, read afresh, tells the same.
  await using replay = await subscribe(relay.url, 0)
  await replay.until((s) => s.repoEvents().length >= expected, 'a replay')
  expect(replay.repoEvents().map(identify)).toEqual(ids)

  expect(await end(relay.child, 'SIGTERM')).toBe(0)
}
