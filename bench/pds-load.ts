import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { servePlcDirectory, type PlcServer } from '@skywright/identity/node'
import { createPlcDirectory } from '@skywright/identity/plc-directory'

export interface PdsProcess extends AsyncDisposable {
  readonly url: string
  readonly pid: number
  /** From spawning the process to its first answered request. */
  readonly startMs: number
}

/** A PLC directory on a free port of loopback, in memory. */
export function startPlcDirectory(): Promise<PlcServer> {
  return servePlcDirectory({ directory: createPlcDirectory({ rateLimits: false }) })
}

/** Our PDS from source, at full durability. */
export function startOurPds(plcUrl: string): Promise<PdsProcess> {
  return startPds((directory) => ({
    args: [
      '--conditions=@skywright/source',
      join(import.meta.dirname, '..', 'examples', 'pds', 'src', 'main.ts'),
    ],
    env: {
      PDS_DEV: 'true',
      PDS_PORT: '0',
      PDS_PLC_URL: plcUrl,
      PDS_DATA_DIRECTORY: directory,
      PDS_HANDLE_DOMAINS: '.test',
      PDS_RATE_LIMITS: 'false',
      PDS_DURABILITY: 'full',
      PDS_LOG_LEVEL: 'info',
    },
  }))
}

/** The reference PDS, as it comes: WAL with `synchronous=NORMAL`. */
export function startReferencePds(plcUrl: string): Promise<PdsProcess> {
  return startPds((directory) => ({
    args: [join(import.meta.dirname, 'reference-pds.ts'), directory, plcUrl],
    env: { LOG_ENABLED: 'false' },
  }))
}

async function startPds(
  command: (directory: string) => {
    readonly args: readonly string[]
    readonly env: Readonly<Record<string, string>>
  },
): Promise<PdsProcess> {
  const directory = mkdtempSync(join(tmpdir(), 'skywright-bench-'))
  const { args, env } = command(directory)
  const started = performance.now()
  const child = spawn(process.execPath, args, {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const url = await readUrl(child)
  await call(url, 'GET', '/xrpc/com.atproto.server.describeServer')
  const startMs = performance.now() - started
  child.stdout?.resume()
  return {
    url,
    pid: child.pid ?? 0,
    startMs,
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM')
      if (child.exitCode === null) await once(child, 'exit')
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

async function readUrl(child: ChildProcess): Promise<string> {
  if (child.stdout === null) throw new Error('the server has no stdout')
  for await (const line of createInterface({ input: child.stdout })) {
    const found = /http:\/\/(localhost|127\.0\.0\.1):\d+/.exec(line)
    if (found !== null) return found[0]
  }
  throw new Error('the server ended before it told its URL')
}

const agent = new Agent({ keepAlive: true, maxSockets: 64 })

export interface Account {
  readonly did: string
  readonly accessJwt: string
}

export async function createAccounts(url: string, count: number): Promise<Account[]> {
  const accounts: Account[] = []
  for (let i = 0; i < count; i++) {
    const body = {
      handle: `bench${i}.test`,
      email: `bench${i}@example.com`,
      password: 'correct-horse-battery',
    }
    // The answer of createAccount, per its lexicon.
    accounts.push(
      (await call(url, 'POST', '/xrpc/com.atproto.server.createAccount', body)) as Account,
    )
  }
  return accounts
}

/** Writes `count` posts over all accounts, `concurrency` requests in flight; gives how many. */
export async function createPosts(
  url: string,
  accounts: readonly Account[],
  count: number,
  concurrency: number,
): Promise<number> {
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < count) {
      const i = next++
      const account = accounts[i % accounts.length]
      if (account === undefined) throw new Error('no account')
      await call(
        url,
        'POST',
        '/xrpc/com.atproto.repo.createRecord',
        {
          repo: account.did,
          collection: 'app.bsky.feed.post',
          record: {
            $type: 'app.bsky.feed.post',
            text: `post ${i} of a benchmark`,
            createdAt: new Date().toISOString(),
          },
        },
        account.accessJwt,
      )
    }
  }
  await Promise.all(Array.from({ length: concurrency }, worker))
  return count
}

function call(
  url: string,
  method: string,
  path: string,
  body?: unknown,
  token?: string,
): Promise<unknown> {
  const text = body === undefined ? undefined : JSON.stringify(body)
  return new Promise((resolve, reject) => {
    const outgoing = request(
      url + path,
      {
        method,
        agent,
        headers: {
          ...(text === undefined
            ? {}
            : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }),
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        },
      },
      (incoming) => {
        const chunks: Buffer[] = []
        incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
        incoming.once('error', reject)
        incoming.once('end', () => {
          const answer = Buffer.concat(chunks).toString()
          if (incoming.statusCode === 200) resolve(JSON.parse(answer))
          else reject(new Error(`${path}: ${incoming.statusCode ?? ''} ${answer.slice(0, 200)}`))
        })
      },
    )
    outgoing.once('error', reject)
    outgoing.end(text)
  })
}
