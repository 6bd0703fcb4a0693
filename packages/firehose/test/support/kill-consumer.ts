import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, open, readFile, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { fileURLToPath } from 'node:url'
import { expect } from 'vitest'
import { createMemoryEventLog } from '../../src/event-log/memory.ts'
import {
  createRandom,
  identityAppend,
  SimulatedNetwork,
  type SimulatedAccount,
} from '../../src/testing/index.ts'
import { createEventSockets } from '../../src/ws.ts'
import { compileCacheEnv } from './compile-cache.ts'
import { contents } from './contents.ts'
import { listen } from './listen.ts'
import type { MirrorNews } from './mirror.ts'

/** Events a consumer may be behind before more are made. */
const MAX_BACKLOG = 300

/** How long a look into a consumer's database waits for it to recover or to fold its log. */
const BUSY_MILLISECONDS = 10_000

/** A moment for the other process, which shares this one's cores. */
const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 1))

/** A process that is killed, at the latest at the end of its block. */
class Victim<News> implements Disposable {
  private readonly child: ChildProcess

  constructor(script: string, args: readonly string[], hear: (news: News) => void) {
    this.child = fork(fileURLToPath(new URL(script, import.meta.url)), args, {
      execArgv: ['--conditions=@skywright/source', '--no-warnings'],
      env: compileCacheEnv,
    })
    this.child.on('message', hear)
  }

  /** Lets other work happen. @throws when the process ended by itself meanwhile. */
  async turn(): Promise<void> {
    await turn()
    if (this.child.exitCode !== null) throw new Error('the consumer ended by itself')
  }

  async kill(): Promise<void> {
    await this.turn()
    const exit = once(this.child, 'exit')
    this.child.kill('SIGKILL')
    await exit
  }

  [Symbol.dispose](): void {
    this.child.kill('SIGKILL')
  }
}

/**
 * Kills a consumer again and again while it follows a stream. Every event must have been handled, and something new of
 * an account never behind something newer of it.
 */
export async function killFollower(rounds: number): Promise<void> {
  const random = createRandom(3)
  const folder = await mkdtemp(join(tmpdir(), 'skywright-consumer-'))
  const log = createMemoryEventLog()
  await using server = await listen(createEventSockets(log))
  let reached = 0
  let killed = 0
  for (let round = 0; round <= rounds; round++) {
    let handled = 0
    using child = new Victim('consumer.ts', [server.service, folder], (seq: number) => {
      handled++
      reached = Math.max(reached, seq)
    })
    const wanted = random.integer(400)
    const isLast = round === rounds
    // What a killed process had handled last it may not have told.
    reached = Math.max(reached, await lastHandled(join(folder, 'handled')))
    for (;;) {
      if (!isLast && handled >= wanted) break
      if (isLast && reached === log.bounds().last && handled > 0) break
      if (log.bounds().last - reached < MAX_BACKLOG && !(isLast && handled > 500)) {
        await log.publish(
          Array.from({ length: 20 }, () =>
            identityAppend(`did:plc:${String(random.integer(9)).padStart(24, 'a')}`),
          ),
        )
      }
      await child.turn()
    }
    if (isLast) {
      const { last } = log.bounds()
      while ((await seqsIn(join(folder, 'handled'))).size < last) await child.turn()
    } else killed++
    await child.kill()
  }
  const lines = (await readFile(join(folder, 'handled'), 'utf8')).split('\n')
  const seen = new Set<number>()
  const highest = new Map<string, number>()
  let repeated = 0
  for (const line of lines) {
    if (line === '') continue
    const [text = '', did = ''] = line.split(' ')
    const seq = Number(text)
    if (seen.has(seq)) repeated++
    else expect(seq).toBeGreaterThan(highest.get(did) ?? 0)
    seen.add(seq)
    highest.set(did, Math.max(seq, highest.get(did) ?? 0))
  }
  const { last } = log.bounds()
  expect(killed).toBe(rounds)
  expect(last).toBeGreaterThan(rounds * 50)
  expect(Array.from({ length: last }, (_, i) => i + 1).filter((seq) => !seen.has(seq))).toEqual([])
  expect(repeated).toBeLessThan(last)
  await rm(folder, { recursive: true })
}

/** More than is handled at once, so that the highest number is among them. */
const LAST_LINES = 100
const MAX_LINE_BYTES = 60

/** The highest number in a file of handled events; 0 when there is none yet. */
async function lastHandled(path: string): Promise<number> {
  await using file = await open(path, 'a+')
  const { size } = await file.stat()
  const length = Math.min(size, LAST_LINES * MAX_LINE_BYTES)
  const { buffer } = await file.read(Buffer.alloc(length), 0, length, size - length)
  // The first of the lines may lack its beginning.
  const lines = buffer
    .toString()
    .split('\n')
    .slice(size > length ? 1 : 0)
  return Math.max(0, ...lines.map((line) => Number.parseInt(line, 10)).filter(Number.isInteger))
}

async function seqsIn(path: string): Promise<Set<string>> {
  return new Set((await readFile(path, 'utf8')).match(/^\d+(?= did)/gm))
}

/** Kills between two comparisons. */
const EPOCH = 50
/** Commits that never reach the stream: their repository has to be fetched again. */
const LOST = 0.05
/** Requests for a repository that fail. */
const UNAVAILABLE = 0.1

/**
 * Kills a mirror again and again while it backfills, follows and fetches again. Every so often it may catch up: its copy
 * must then be what the repositories hold. After that it begins anew, from nothing.
 */
export async function killMirror(rounds: number): Promise<void> {
  const random = createRandom(5)
  const folder = await mkdtemp(join(tmpdir(), 'skywright-mirror-'))
  const network = await SimulatedNetwork.create({ accounts: 30, seed: 7, now: () => Date.now() })
  for (let i = 0; i < 300; i++) await network.write(network.random.pick(network.accounts))
  const { log } = network.hosts[0]!
  let reliable = false
  await using server = await host(network, () => reliable || !random.chance(UNAVAILABLE))
  let killed = 0
  let interrupted = 0
  let fetched = 0
  for (let epoch = 0; killed < rounds; epoch++) {
    const file = join(folder, `${String(epoch)}.sqlite`)
    const from = String(log.bounds().last)
    let reached = log.bounds().last
    const run = () => {
      const progress = { handled: 0 }
      const child = new Victim('mirror.ts', [server.service, file, from], (news: MirrorNews) => {
        progress.handled++
        if (!news.live) fetched++
        reached = Math.max(reached, news.seq)
      })
      return { child, progress }
    }
    const churn = async (): Promise<void> => {
      if (log.bounds().last - reached > MAX_BACKLOG) return
      if (random.chance(LOST)) await network.write(random.pick(network.accounts))
      else await network.step(random.pick(network.accounts))
    }
    reliable = false
    for (let i = 0; i < EPOCH && killed < rounds; i++) {
      const { child, progress } = run()
      using _victim = child
      const wanted = random.integer(60)
      while (progress.handled < wanted) {
        await churn()
        await child.turn()
      }
      // Any moment after that.
      for (let wait = random.integer(50); wait > 0; wait--) await child.turn()
      await child.kill()
      killed++
      if (pendingIn(file) > 0) interrupted++
    }
    reliable = true
    // What was lost shows by the next commit.
    for (const account of network.accounts) await network.step(account)
    using last = run().child
    while (!(await isSame(network.accounts, file))) await last.turn()
    await last.kill()
    expect(await isSame(network.accounts, file)).toBe(true)
  }
  expect(killed).toBe(rounds)
  expect(interrupted).toBeGreaterThan(rounds / 10)
  expect(fetched).toBeGreaterThan(network.accounts.length)
  await rm(folder, { recursive: true })
}

function pendingIn(file: string): number {
  const database = new DatabaseSync(file, { timeout: BUSY_MILLISECONDS })
  try {
    const row = database.prepare('SELECT count(*) AS count FROM event_resync').get()
    return Number(row?.['count'])
  } catch {
    // Killed before it made its tables.
    return 0
  } finally {
    database.close()
  }
}

async function isSame(accounts: readonly SimulatedAccount[], file: string): Promise<boolean> {
  const database = new DatabaseSync(file, { timeout: BUSY_MILLISECONDS })
  try {
    if (Number(database.prepare('SELECT count(*) AS n FROM event_resync').get()?.['n']) > 0) {
      return false
    }
    const select = database.prepare('SELECT path, cid FROM mirror WHERE did = ?')
    for (const account of accounts) {
      const ours = select.all(account.did)
      const theirs = await contents(account)
      if (ours.length !== theirs.size) return false
      if (ours.some(({ path, cid }) => theirs.get(String(path)) !== cid)) return false
    }
    return true
  } catch (error) {
    // Not there yet.
    if (error instanceof Error && error.message.includes('no such table')) return false
    throw error
  } finally {
    database.close()
  }
}

/** A host with everything a mirror asks of it. */
async function host(
  network: SimulatedNetwork,
  available: () => boolean,
): Promise<AsyncDisposable & { readonly service: string }> {
  const sockets = createEventSockets(network.hosts[0]!.log)
  const server = createServer((request, response) => {
    void answer(network, available, request, response)
  })
  server.on('upgrade', (request, socket, head) => {
    sockets.upgrade(request, socket, head)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    service: `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await sockets[Symbol.asyncDispose]()
    },
  }
}

const PAGE = 7

async function answer(
  network: SimulatedNetwork,
  available: () => boolean,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost')
  const account = network.accounts.find(({ did }) => did === searchParams.get('did'))
  const json = (value: unknown): void => {
    response.setHeader('content-type', 'application/json').end(JSON.stringify(value))
  }
  if (pathname === '/identity') {
    json({ key: account?.key.publicKey.didKey })
    return
  }
  if (pathname === '/xrpc/com.atproto.sync.listRepos') {
    const after = searchParams.get('cursor') ?? ''
    const dids = network.accounts.map(({ did }) => did).filter((did) => did > after)
    const page = dids.toSorted().slice(0, PAGE)
    const cursor = dids.length > PAGE ? { cursor: page.at(-1) } : {}
    json({ repos: page.map((did) => ({ did, active: true })), ...cursor })
    return
  }
  if (account === undefined || !available()) {
    response.writeHead(503).end()
    return
  }
  const chunks: Uint8Array[] = []
  for await (const chunk of account.repo.export()) chunks.push(chunk)
  response.end(Buffer.concat(chunks))
}
