// Does what the guides say, on a network of our own.
import { execFile, spawn, type ChildProcessByStdio } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const run = promisify(execFile)
const root: string = join(import.meta.dirname, '..')
// Below the package, so that its dependencies are found.
const folder: string = join(root, 'packages', 'firehose', '.cache', 'guides')

/** The blocks of one language in a guide. */
function blocksOf(guide: string, language: string): readonly string[] {
  const text = readFileSync(join(root, 'docs', 'guides', guide), 'utf8')
  return [...text.matchAll(/^```(\w+)\n(.*?)^```/gms)]
    .filter(([, found]) => found === language)
    .map(([, , code = '']) => code)
}

/** What is used here of `examples/network`, which is no project this one refers to. */
interface Network extends AsyncDisposable {
  readonly plc: { readonly url: string }
  readonly relay: { readonly url: string }
  readonly pds: readonly { readonly url: string; readonly handleDomain: string }[]
}

interface Account {
  readonly did: string
  readonly accessJwt: string
}

let network: Network
let account: Account
let posts = 0

async function call<T>(method: string, body: unknown, token?: string): Promise<T> {
  const response = await fetch(`${network.pds[0]?.url ?? ''}/xrpc/${method}`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    },
    body: JSON.stringify(body),
  })
  expect(response.status).toBe(200)
  return (await response.json()) as T
}

async function write(collection: string, rkey: string, text: string): Promise<void> {
  const record = { $type: collection, text, createdAt: new Date().toISOString() }
  const input = { repo: account.did, collection, rkey, record, validate: false }
  await call('com.atproto.repo.createRecord', input, account.accessJwt)
}

/** Writes a post; gives its path. */
async function post(): Promise<string> {
  const rkey = `guide${String(++posts)}`
  await write('app.bsky.feed.post', rkey, `post ${rkey}`)
  return `app.bsky.feed.post/${rkey}`
}

type Child = ChildProcessByStdio<null, Readable, Readable>

/** A process, and the lines it wrote so far. */
class Program implements AsyncDisposable {
  readonly lines: string[] = []
  private readonly child: Child

  constructor(command: string, args: readonly string[], cwd: string, env: NodeJS.ProcessEnv = {}) {
    this.child = spawn(command, args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      // A shell and what it started are ended together.
      detached: true,
    })
    for (const stream of [this.child.stdout, this.child.stderr]) {
      createInterface({ input: stream }).on('line', (line) => this.lines.push(line))
    }
  }

  get ended(): boolean {
    return this.child.exitCode !== null
  }

  /** Waits for a line, doing something meanwhile. */
  async line(pattern: RegExp, meanwhile: () => Promise<unknown>): Promise<string> {
    for (;;) {
      const found = this.lines.find((line) => pattern.test(line))
      if (found !== undefined) return found
      if (this.ended) throw new Error(`ended before ${String(pattern)}:\n${this.lines.join('\n')}`)
      await meanwhile()
    }
  }

  /** Ends it as Ctrl-C does; gives its exit code. */
  async interrupt(): Promise<number | null> {
    const exited = once(this.child, 'exit') as Promise<[number | null]>
    if (!this.ended) process.kill(-(this.child.pid ?? 0), 'SIGINT')
    return this.ended ? this.child.exitCode : (await exited)[0]
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.ended) await this.interrupt()
  }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

beforeAll(async () => {
  mkdirSync(folder, { recursive: true })
  const url = pathToFileURL(join(root, 'examples', 'network', 'src', 'index.ts')).href
  const { startNetwork } = (await import(/* @vite-ignore */ url)) as {
    startNetwork: (options: { pds: number }) => Promise<Network>
  }
  network = await startNetwork({ pds: 1 })
  account = await call<Account>('com.atproto.server.createAccount', {
    handle: `reader.${network.pds[0]?.handleDomain ?? ''}`,
    email: 'reader@example.com',
    password: 'a-long-password',
  })
})

afterAll(async () => {
  await network[Symbol.asyncDispose]()
  rmSync(folder, { recursive: true, force: true })
})

describe('docs/guides/follow-the-firehose.md', () => {
  const [program = ''] = blocksOf('follow-the-firehose.md', 'ts')

  it('is twenty lines that compile, and what they import', async () => {
    const lines = program.split('\n').filter((line) => line !== '' && !line.startsWith('import '))
    expect(lines.length).toBeLessThanOrEqual(20)
    const project = mkdtempSync(join(folder, 'types-'))
    writeFileSync(join(project, 'follow.ts'), program)
    const compilerOptions = { composite: false, declaration: false, isolatedDeclarations: false }
    writeFileSync(
      join(project, 'tsconfig.json'),
      JSON.stringify({
        extends: join(root, 'tsconfig.base.json'),
        compilerOptions: { ...compilerOptions, noEmit: true },
      }),
    )
    const tsc = join(root, 'node_modules', '.bin', 'tsc')
    const failure = await run(tsc, ['-p', project]).catch((error: { stdout: string }) => error)
    expect(failure.stdout).toBe('')
  })

  it('has what it imports installed, and nothing else but what that needs', () => {
    const [install = '', start = ''] = blocksOf('follow-the-firehose.md', 'sh')
    const installed = /^npm install (.+)$/m.exec(install)?.[1]?.split(' ') ?? []
    const imported = [...program.matchAll(/from '((?:@[^/']+\/)?[^/']+)/g)]
      .map(([, name = '']) => name)
      .filter((name) => !name.startsWith('node:'))
    // `ws` is an optional peer, of the entry that the program opens its sockets with.
    expect(program).toContain("'@skywright/firehose/ws'")
    expect(new Set(installed)).toEqual(new Set([...imported, 'ws']))
    const file = join(root, 'packages', 'firehose', 'package.json')
    const { peerDependencies } = JSON.parse(readFileSync(file, 'utf8')) as {
      readonly peerDependencies: Readonly<Record<string, string>>
    }
    expect(Object.keys(peerDependencies)).toContain('ws')
    expect(start).toBe('node follow.ts\n')
  })

  it('reads proven posts, and continues where it stopped', async () => {
    const world = 'createNodeResolver()'
    expect(program.split(world)).toHaveLength(2)
    const own = `createNodeResolver({ plcUrl: '${network.plc.url}', dev: true })`
    const directory = mkdtempSync(join(folder, 'run-'))
    const file = join(directory, 'follow.ts')
    writeFileSync(file, program.replace(world, own))
    const start = () =>
      new Program(
        process.execPath,
        ['--conditions=@skywright/source', file, network.relay.url],
        directory,
      )
    const pathsIn = (lines: readonly string[]) =>
      lines.flatMap((line) => /^create \S+ (\S+)/.exec(line)?.[1] ?? [])

    const written: string[] = []
    await using first = start()
    await first.line(/^create/, async () => written.push(await post()))
    expect(await first.interrupt()).toBe(0)
    const seen = pathsIn(first.lines)

    const missed = [await post(), await post(), await post()]
    await write('app.bsky.graph.follow', 'unwanted', 'not a post')
    await using second = start()
    const last = missed.at(-1) ?? ''
    await second.line(new RegExp(`^create .*${last} `), turn)
    expect(await second.interrupt()).toBe(0)
    const all = [...seen, ...pathsIn(second.lines)]
    const wanted = [...written, ...missed]
    const from = wanted.indexOf(seen[0] ?? '')
    // At least once each, none left out, and nothing but posts.
    expect([...new Set(all)]).toEqual(wanted.slice(from))
    expect(second.lines.join('\n')).toContain('text:')
    expect([...first.lines, ...second.lines].filter((line) => line.includes('"kind"'))).toEqual([])
  })
})

describe('docs/guides/run-a-relay.md', () => {
  it('starts a relay, has it follow a host, and reads the report', async () => {
    const [start = '', ready = '', crawl = '', report = '', warn = '', ...more] = blocksOf(
      'run-a-relay.md',
      'sh',
    )
    expect(more).toEqual([])
    const env = {
      RELAY_PORT: '0',
      RELAY_DATA_DIRECTORY: mkdtempSync(join(folder, 'relay-')),
      RELAY_ADMIN_PASSWORD: 'a password for this test',
      // This host is on this machine, and speaks http.
      RELAY_DEVELOPMENT: 'true',
      RELAY_PLC_URL: network.plc.url,
      RELAY_LOG_LEVEL: 'error',
    }
    await using relay = new Program('bash', ['-ec', start], root, env)
    const listening = await relay.line(/^relay listening on /, turn)
    const shell = async (block: string): Promise<string> => {
      const { stdout } = await run('bash', ['-ec', block], {
        env: {
          ...process.env,
          ...env,
          RELAY: listening.replace('relay listening on ', ''),
          HOST: new URL(network.pds[0]?.url ?? '').host,
        },
      })
      return stdout
    }
    await shell(ready)
    expect(await shell(crawl)).toContain('"status":"active"')
    let told = ''
    while (!told.includes('"outcome":"accepted"')) {
      await post()
      told = await shell(report)
    }
    expect(JSON.parse(told)).toMatchObject({ status: 'active', enforcement: 'enforce' })
    expect(await shell(warn)).toContain('"enforcement":"warn"')
    expect(JSON.parse(await shell(report))).toMatchObject({ enforcement: 'warn' })
    expect(await relay.interrupt()).toBe(0)
  })
})
