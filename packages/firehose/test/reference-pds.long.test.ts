import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createNodeResolver, openSqlitePlcStore, servePlcDirectory } from '@skywright/identity/node'
import { createPlcDirectory } from '@skywright/identity/plc-directory'
import { decodeCbor } from '@skywright/repo'
import { describe, expect, it } from 'vitest'
import { createMemoryCursorStore } from '../src/cursor-store.ts'
import { listRepos } from '../src/resync/list-repos.ts'
import { createMemorySyncStore } from '../src/resync/sync-store.ts'
import { runRepos } from '../src/run.ts'
import type { FirehoseIssue, StreamEvent } from '../src/stream-event.ts'
import { createMemoryChainStore } from '../src/verify/chain-store.ts'
import { createIdentitySource } from '../src/verify/identity-source.ts'
import { createEventVerifier } from '../src/verify/verifier.ts'
import { openWebSocket } from '../src/ws.ts'

/** The reference PDS is installed with the benchmarks, which need it as a rival. */
const bench = fileURLToPath(new URL('../../../bench', import.meta.url))
const installed = existsSync(join(bench, 'node_modules/@atproto/pds'))
if (!installed)
  process.emitWarning('skipped: the reference PDS is not installed (run the benchmarks once)')

async function startReferencePds(
  plcUrl: string,
): Promise<AsyncDisposable & { readonly url: string }> {
  const folder = mkdtempSync(join(tmpdir(), 'skywright-reference-pds-'))
  const child = spawn(process.execPath, ['reference-pds.ts', folder, plcUrl], {
    cwd: bench,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line] = (await once(child.stdout, 'data')) as [Buffer]
  return {
    url: line.toString().trim(),
    async [Symbol.asyncDispose]() {
      const ended = once(child, 'exit')
      child.kill('SIGTERM')
      await ended
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** It says `#sync` after an account is made or comes back: behind what was fetched meanwhile, that is old news. */
function isUnexpected(issue: FirehoseIssue): boolean {
  return issue.kind !== 'rejected' || issue.reason !== 'stale-rev'
}

describe.skipIf(!installed)('the stream of the reference PDS', () => {
  it('is proven, folded and backfilled to what its repositories hold', async () => {
    await using plc = await servePlcDirectory({
      directory: createPlcDirectory({ store: openSqlitePlcStore({ database: ':memory:' }) }),
    })
    await using pds = await startReferencePds(plc.url)

    const call = async <T>(
      method: string,
      body: object | undefined,
      token?: string,
    ): Promise<T> => {
      const response = await fetch(`${pds.url}/xrpc/${method}`, {
        method: 'POST',
        headers: {
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      })
      const text = await response.text()
      if (!response.ok) throw new Error(`${method}: ${String(response.status)} ${text}`)
      return (text === '' ? {} : JSON.parse(text)) as T
    }
    interface Account {
      readonly did: string
      readonly accessJwt: string
      readonly password: string
    }
    const createAccount = async (name: string): Promise<Account> => {
      const password = `password of ${name}`
      const input = { handle: `${name}.test`, email: `${name}@example.com`, password }
      return {
        ...(await call<Omit<Account, 'password'>>('com.atproto.server.createAccount', input)),
        password,
      }
    }
    const collection = 'app.bsky.feed.post'
    const record = (text: string) => ({
      $type: collection,
      text,
      createdAt: new Date().toISOString(),
    })
    const write = async ({ did, accessJwt }: Account, writes: readonly object[]) => {
      await call('com.atproto.repo.applyWrites', { repo: did, writes, validate: false }, accessJwt)
    }
    const create = (rkey: string) => ({
      $type: 'com.atproto.repo.applyWrites#create',
      collection,
      rkey,
      value: record(rkey),
    })
    const update = (rkey: string) => ({
      $type: 'com.atproto.repo.applyWrites#update',
      collection,
      rkey,
      value: record(`${rkey} again`),
    })
    const remove = (rkey: string) => ({
      $type: 'com.atproto.repo.applyWrites#delete',
      collection,
      rkey,
    })

    const first = await createAccount('alice')
    const second = await createAccount('bob')
    for (let i = 0; i < 30; i++) await write(first, [create(`a${String(i)}`)])

    /** Follows the PDS for as long as `work` takes and then until its newest event; gives what came. */
    const follow = async (from: number | undefined, work: () => Promise<void>) => {
      const resolver = createNodeResolver({ plcUrl: plc.url, dev: true })
      const identity = createIdentitySource(resolver, { allowHttp: true })
      const events: StreamEvent[] = []
      const issues: FirehoseIssue[] = []
      const repos = new Map<string, Map<string, string>>()
      const repoOf = (did: string) => {
        const repo = repos.get(did) ?? new Map<string, string>()
        repos.set(did, repo)
        return repo
      }
      const stop = new AbortController()
      let done = false
      const check = () => {
        const last = events.findLast((event) => event.live)
        if (done && last?.type === 'commit' && last.ops[0]?.rkey === 'last') stop.abort()
      }
      const running = runRepos({
        service: pds.url,
        cursor: createMemoryCursorStore(from === undefined ? {} : { [pds.url]: from }),
        open: openWebSocket,
        // In the order of the stream: the last write comes last.
        concurrency: 1,
        signal: stop.signal,
        verify: createEventVerifier({ identity, chain: createMemoryChainStore() }),
        resync: {
          identity,
          store: createMemorySyncStore(),
          known: repoOf,
          fetch: (url, init) => fetch(url, init),
          ...(from === undefined ? { backfill: listRepos({ service: pds.url }) } : {}),
        },
        onIssue: (issue) => issues.push(issue),
        handle: (event) => {
          events.push(event)
          if (event.type === 'commit') {
            const repo = repoOf(event.did)
            for (const { path, cid, record: bytes } of event.ops) {
              if (cid === null) repo.delete(path)
              else repo.set(path, cid.toString())
              if (bytes !== undefined)
                expect(decodeCbor(bytes)).toMatchObject({ $type: collection })
            }
          }
          check()
        },
      })
      while (from === undefined && events.length < 2) await new Promise((r) => setTimeout(r, 20))
      await work()
      done = true
      check()
      await running
      return { events, issues, repos }
    }
    const contents = async ({ did }: Account): Promise<Map<string, string>> => {
      const query = new URLSearchParams({ repo: did, collection, limit: '100' })
      const url = `${pds.url}/xrpc/com.atproto.repo.listRecords?${query}`
      const { records } = (await (await fetch(url)).json()) as {
        readonly records: readonly { readonly uri: string; readonly cid: string }[]
      }
      return new Map(records.map(({ uri, cid }) => [uri.split('/').slice(3).join('/'), cid]))
    }

    const live = await follow(undefined, async () => {
      await write(first, [create('b1'), update('a3'), remove('a4'), remove('a5')])
      for (let i = 0; i < 20; i++) await write(second, [create(`c${String(i)}`)])
      for (let i = 0; i < 20; i += 2) await write(second, [remove(`c${String(i)}`)])
      await call('com.atproto.server.deactivateAccount', {}, second.accessJwt)
      await call('com.atproto.server.activateAccount', undefined, second.accessJwt)
      await call('com.atproto.identity.updateHandle', { handle: 'robert.test' }, second.accessJwt)
      await write(first, [create('last')])
    })
    expect(live.issues.filter(isUnexpected)).toEqual([])
    expect(live.events.filter((event) => !event.live)).toHaveLength(2)
    for (const account of [first, second]) {
      expect(live.repos.get(account.did)).toEqual(await contents(account))
    }
    const kinds = new Set(live.events.map((event) => event.type))
    expect(kinds).toEqual(new Set(['commit', 'account', 'identity', 'sync']))
    expect(live.events.every((event) => event.type !== 'commit' || event.verified)).toBe(true)

    // The same from the beginning of the log, without a backfill.
    const replayed = await follow(0, () => Promise.resolve())
    // What its `#sync` repeats of a commit is a confirmation.
    expect(replayed.issues).toEqual([])
    expect(replayed.events.filter(({ type }) => type === 'sync').length).toBeGreaterThan(0)
    expect(replayed.events.every((event) => event.live)).toBe(true)
    for (const account of [first, second]) {
      expect(replayed.repos.get(account.did)).toEqual(await contents(account))
    }
    expect(replayed.events.filter((event) => event.type === 'commit').length).toBeGreaterThan(60)
  })
})
