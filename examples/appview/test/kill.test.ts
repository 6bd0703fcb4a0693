import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { createMemoryResolver } from '@skywright/identity/testing'
import { expect, it } from 'vitest'
import { type Resident, SmallPds } from './small-pds.ts'

const MAIN = fileURLToPath(new URL('../src/main.ts', import.meta.url))
const INSPECT = fileURLToPath(new URL('support/inspect.ts', import.meta.url))
const KILLS = 5
const POSTS_PER_LIFE = 25
const FANS = 5
const POST = 'app.bsky.feed.post'
const LIKE = 'app.bsky.feed.like'

interface Process {
  readonly child: ChildProcess
  readonly url: string
}

async function startProcess(env: Readonly<Record<string, string>>): Promise<Process> {
  const child = spawn(process.execPath, ['--conditions=@skywright/source', MAIN], {
    env: { PATH: process.env['PATH'] ?? '', ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const url = await new Promise<string>((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`AppView exited; code=${String(code)}`)))
    createInterface({ input: child.stdout }).on('line', (line) => {
      const found = / listening on (\S+)$/.exec(line)?.[1]
      if (found !== undefined) resolve(found)
    })
  })
  return { child, url }
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
  const exited = once(child, 'exit')
  child.kill(signal)
  const [code] = (await exited) as [number | null]
  return code
}

interface Inspection {
  readonly stateHash: string
  readonly audit: readonly unknown[]
  readonly posts: readonly string[]
}

/** What is in the index of a data folder, once it has caught up. */
async function inspect(env: Readonly<Record<string, string>>): Promise<Inspection> {
  const child = spawn(process.execPath, ['--conditions=@skywright/source', INSPECT], {
    env: { PATH: process.env['PATH'] ?? '', ...env },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const exited = once(child, 'exit')
  let report: Inspection | undefined
  for await (const line of createInterface({ input: child.stdout })) {
    if (line.startsWith('{"stateHash"')) {
      report = JSON.parse(line) as Inspection
      child.stdin.end()
    }
  }
  expect((await exited)[0]).toBe(0)
  if (report === undefined) throw new Error('nothing reported')
  return report
}

/** A directory that answers with the documents of a resolver. */
async function servePlc(
  resolver: ReturnType<typeof createMemoryResolver>,
): Promise<AsyncDisposable & { readonly url: string }> {
  const server = createServer((request, response) => {
    const did = decodeURIComponent(request.url?.slice(1) ?? '')
    resolver.resolveDid(did).then(
      ({ document }) => response.end(JSON.stringify(document)),
      () => response.writeHead(404).end('{}'),
    )
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

async function postsCount({ url }: Process, { did }: Resident): Promise<number> {
  const response = await fetch(`${url}/xrpc/app.bsky.actor.getProfile?actor=${did}`)
  const { postsCount: count } = (await response.json()) as { readonly postsCount?: number }
  return count ?? 0
}

/** Asks again and again; the process is another one, so nothing announces the moment. */
async function waitForPosts(process: Process, author: Resident, count: number): Promise<void> {
  const limit = AbortSignal.timeout(20_000)
  while ((await postsCount(process, author)) < count) limit.throwIfAborted()
}

it(`loses and doubles nothing over ${KILLS} kills`, { timeout: 120_000 }, async () => {
  await using stack = new AsyncDisposableStack()
  const directory = mkdtempSync(join(tmpdir(), 'appview-kill-'))
  stack.defer(() => rmSync(directory, { recursive: true, force: true }))
  const resolver = createMemoryResolver()
  const pds = stack.use(await new SmallPds(resolver).listen())
  const plc = stack.use(await servePlc(resolver))
  const author = await pds.account('author')
  const fans: Resident[] = []
  for (let i = 0; i < FANS; i++) fans.push(await pds.account(`fan${i}`))
  const env = {
    APPVIEW_PORT: '0',
    APPVIEW_DEV: 'true',
    APPVIEW_DATA_DIRECTORY: join(directory, 'killed'),
    APPVIEW_PLC_URL: plc.url,
    APPVIEW_RELAY: pds.url,
    APPVIEW_LOG_LEVEL: 'error',
  }
  let appView = await startProcess(env)
  stack.defer(() => void appView.child.kill('SIGKILL'))
  let written = 0
  for (let life = 0; life < KILLS; life++) {
    const before = written
    // Killed somewhere in the middle of the batch, at another place each time.
    const dying = waitForPosts(appView, author, before + 1 + ((life * 7) % POSTS_PER_LIFE)).then(
      () => end(appView.child, 'SIGKILL'),
    )
    for (let i = 0; i < POSTS_PER_LIFE; i++) {
      const [uri = ''] = await pds.create(author, POST, { text: `post ${written++}` })
      const cid = (await author.repo.get(POST, uri.split('/').at(-1) ?? ''))?.cid.toString()
      for (const fan of fans) await pds.create(fan, LIKE, { subject: { uri, cid } })
      const fan = fans[i % FANS]
      if (i % 3 === 2 && fan !== undefined) {
        const [like] = await fan.repo.list(LIKE, { limit: 1 })
        await pds.write(fan, { action: 'delete', collection: LIKE, rkey: like?.rkey ?? '' })
      }
    }
    await dying
    appView = await startProcess(env)
  }
  await waitForPosts(appView, author, written)
  expect(written).toBe(KILLS * POSTS_PER_LIFE)
  expect(await postsCount(appView, author)).toBe(written)

  expect(await end(appView.child, 'SIGTERM')).toBe(0)

  // The index that was killed is the index that never was.
  const heads = await Promise.all([author, ...fans].map(({ repo }) => repo.head()))
  const revs = heads.map(({ did, rev }) => [did, rev])
  const known = { ...env, INSPECT_REVS: JSON.stringify(revs) }
  const killed = await inspect(known)
  const calm = await inspect({ ...known, APPVIEW_DATA_DIRECTORY: join(directory, 'calm') })
  expect(killed.audit).toEqual([])
  expect(killed.stateHash).toBe(calm.stateHash)
  expect(new Set(killed.posts).size).toBe(written)
  expect(killed.posts).toHaveLength(written)
})
