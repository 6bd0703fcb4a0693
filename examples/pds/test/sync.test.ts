import { decodeEvent, type CommitEvent, type WireEvent } from '@skywright/firehose'
import { createResolver, getSigningKey } from '@skywright/identity'
import type { PublicKey } from '@skywright/identity/keys'
import { verifyCommit, type Cid, verifyRecordProof, verifyRepo } from '@skywright/repo'
import { decodeCbor } from '@skywright/repo/cbor'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { EVENT_RETENTION_MS } from '../src/housekeeping.ts'
import { call, PLC_URL, startTestPds, type TestAccount, type TestPds } from './harness.ts'

let now = Date.UTC(2026, 0, 1)
let server: TestPds
let alice: TestAccount

beforeAll(async () => {
  server = await startTestPds({}, { now: () => (now += 1) })
  alice = await server.account('alice')
})
afterAll(() => server[Symbol.asyncDispose]())

/** Reads a stream until `done` says so, or it ends. */
async function read(
  query: string,
  done: (events: readonly WireEvent[]) => boolean,
): Promise<WireEvent[]> {
  const socket = new WebSocket(
    `${server.url.replace('http', 'ws')}/xrpc/com.atproto.sync.subscribeRepos${query}`,
  )
  const events: WireEvent[] = []
  const finished = Promise.withResolvers<void>()
  socket.on('message', (data: Buffer, isBinary) => {
    try {
      expect(isBinary).toBe(true)
      events.push(decodeEvent(Uint8Array.from(data)))
      if (done(events)) finished.resolve()
    } catch (error) {
      finished.reject(error as Error)
    }
  })
  socket.on('close', () => finished.resolve())
  socket.on('error', (error) => finished.reject(error))
  try {
    await finished.promise
  } finally {
    socket.terminate()
  }
  return events
}

async function signingKey(did: string): Promise<PublicKey> {
  const resolver = createResolver({ plcUrl: PLC_URL, fetch: server.fetch, dev: true })
  return getSigningKey((await resolver.resolveDid(did)).document)!
}

function seqOf(event: WireEvent | undefined): number {
  return event === undefined || event.type === 'info' ? 0 : event.seq
}

describe('subscribeRepos', () => {
  it('announces an account and then its every commit, each provable', async () => {
    const bob = await server.account('bob')
    const { uri } = await bob.agent.post({ text: 'first' })
    const rkey = uri.split('/').at(-1) ?? ''
    await bob.agent.com.atproto.repo.putRecord({
      repo: bob.did,
      collection: 'app.bsky.actor.profile',
      rkey: 'self',
      record: { displayName: 'Bob' },
    })
    await bob.agent.com.atproto.repo.putRecord({
      repo: bob.did,
      collection: 'app.bsky.actor.profile',
      rkey: 'self',
      record: { displayName: 'Robert' },
    })
    await bob.agent.com.atproto.repo.deleteRecord({
      repo: bob.did,
      collection: 'app.bsky.feed.post',
      rkey,
    })
    const mine = (events: readonly WireEvent[]): WireEvent[] =>
      events.filter((event) => event.type !== 'info' && event.did === bob.did)
    const events = mine(await read('?cursor=0', (all) => mine(all).length === 7))
    expect(events.map(({ type }) => type)).toEqual([
      'identity',
      'account',
      'commit',
      'commit',
      'commit',
      'commit',
      'commit',
    ])
    expect(events[0]).toMatchObject({ handle: 'bob.test' })
    expect(events[1]).toMatchObject({ active: true })

    const key = await signingKey(bob.did)
    const commits = events.filter((event): event is CommitEvent => event.type === 'commit')
    let previous: { rev: string; data: Cid } | undefined
    for (const event of commits) {
      const verified = verifyCommit({ ...event, key })
      expect(event.since).toBe(previous?.rev ?? null)
      expect(event.prevData?.toString()).toBe(previous?.data.toString())
      if (previous !== undefined) expect(event.rev > previous.rev).toBe(true)
      previous = { rev: event.rev, data: verified.data }
    }
    expect(commits.map(({ ops }) => ops.map(({ action }) => action))).toEqual([
      [],
      ['create'],
      ['create'],
      ['update'],
      ['delete'],
    ])
    const latest = await bob.agent.com.atproto.sync.getLatestCommit({ did: bob.did })
    expect(commits.at(-1)).toMatchObject({ rev: latest.data.rev })
    const created = commits[1]
    const record = verifyCommit({ ...created!, key }).records.get(`app.bsky.feed.post/${rkey}`)
    expect(decodeCbor(record!)).toMatchObject({ text: 'first' })
  })

  it('continues after a cursor without gap or double, then goes live', async () => {
    const all = await read('?cursor=0', (events) => events.length === 3)
    const cursor = seqOf(all[1])
    const { uri } = await alice.agent.post({ text: 'before' })
    const live = read(`?cursor=${cursor}`, (events) =>
      events.some(
        (event) => event.type === 'commit' && event.ops.some(({ path }) => path.endsWith('/live')),
      ),
    )
    await call(server.url, 'com.atproto.repo.createRecord', {
      token: alice.accessJwt,
      json: { repo: alice.did, collection: 'com.example.live', rkey: 'live', record: {} },
    })
    const seqs = (await live).map(seqOf)
    expect(seqs[0]).toBeGreaterThan(cursor)
    expect(seqs).toEqual([...new Set(seqs)].toSorted((a, b) => a - b))
    expect(uri).toContain(alice.did)
  })

  it('is live only without a cursor', async () => {
    await alice.agent.post({ text: 'unheard' })
    const live = read('', (events) => events.length === 1)
    // The upgrade takes a moment; write until the stream has heard one.
    let heard = false
    void live.finally(() => (heard = true))
    const written: string[] = []
    while (!heard) {
      const { cid } = await alice.agent.post({ text: `heard? ${written.length}` })
      written.push(cid)
    }
    const [event] = await live
    expect(event).toMatchObject({ type: 'commit', ops: [{ action: 'create' }] })
    expect(written).toContain((event as CommitEvent).ops[0]?.cid?.toString())
  })

  it('refuses a cursor from the future by name and closes', async () => {
    await expect(read(`?cursor=${Number.MAX_SAFE_INTEGER}`, () => false)).rejects.toMatchObject({
      code: 'FutureCursor',
    })
  })

  it.each(['?cursor=nope', '?cursor=1.5', '?cursor=1&cursor=2'])(
    'refuses %s before upgrading',
    async (query) => {
      const response = await new Promise<number>((resolve, reject) => {
        const socket = new WebSocket(
          `${server.url.replace('http', 'ws')}/xrpc/com.atproto.sync.subscribeRepos${query}`,
        )
        socket.on('unexpected-response', (_request, answer) => {
          answer.resume()
          socket.terminate()
          resolve(answer.statusCode ?? 0)
        })
        socket.on('open', () => reject(new Error('opened')))
        socket.on('error', () => undefined)
      })
      expect(response).toBe(400)
    },
  )

  it('keeps events for the retention time and tells who comes too late', async () => {
    const before = await read('?cursor=0', (events) => events.length === 1)
    now += EVENT_RETENTION_MS + 60_000
    await server.pds.housekeep()
    await alice.agent.post({ text: 'after the trim' })
    const events = await read(`?cursor=${seqOf(before[0])}`, (all) => all.length === 2)
    expect(events[0]).toMatchObject({ type: 'info', name: 'OutdatedCursor' })
    expect(events[1]).toMatchObject({ type: 'commit', did: alice.did })
  })
})

describe('repositories', () => {
  it('exports a repo that verifies, whole and since a rev', async () => {
    const key = await signingKey(alice.did)
    await alice.agent.post({ text: 'one' })
    const early = await alice.agent.com.atproto.sync.getLatestCommit({ did: alice.did })
    await alice.agent.post({ text: 'two' })
    const latest = await alice.agent.com.atproto.sync.getLatestCommit({ did: alice.did })

    const response = await fetch(`${server.url}/xrpc/com.atproto.sync.getRepo?did=${alice.did}`)
    expect(response.headers.get('content-type')).toBe('application/vnd.ipld.car')
    const whole = new Uint8Array(await response.arrayBuffer())
    const verified = await verifyRepo(whole, { did: alice.did, key })
    expect(verified.rev).toBe(latest.data.rev)
    const listed = await alice.agent.com.atproto.repo.listRecords({
      repo: alice.did,
      collection: 'app.bsky.feed.post',
      limit: 100,
    })
    expect(
      [...verified.records()].filter(({ path }) => path.startsWith('app.bsky.feed.post/')),
    ).toHaveLength(listed.data.records.length)

    const { data: part } = await alice.agent.com.atproto.sync.getRepo({
      did: alice.did,
      since: early.data.rev,
    })
    expect(part.length).toBeLessThan(whole.length)
    const { data: nothing } = await alice.agent.com.atproto.sync.getRepo({
      did: alice.did,
      since: latest.data.rev,
    })
    expect(nothing.length).toBeLessThan(part.length)
  })

  it('proves records, and the absence of records', async () => {
    const key = await signingKey(alice.did)
    const { uri, cid } = await alice.agent.post({ text: 'proven' })
    const rkey = uri.split('/').at(-1) ?? ''
    const collection = 'app.bsky.feed.post'
    const { data } = await alice.agent.com.atproto.sync.getRecord({
      did: alice.did,
      collection,
      rkey,
    })
    const proven = verifyRecordProof(data, { did: alice.did, key, path: `${collection}/${rkey}` })
    expect(proven.cid?.toString()).toBe(cid)
    const absent = await alice.agent.com.atproto.sync.getRecord({
      did: alice.did,
      collection,
      rkey: 'absent',
    })
    expect(
      verifyRecordProof(absent.data, { did: alice.did, key, path: `${collection}/absent` }).cid,
    ).toBeUndefined()
  })

  it('lists repos in pages, each with its head', async () => {
    await server.account('carol')
    const seen: string[] = []
    let cursor: string | undefined
    do {
      const { data } = await alice.agent.com.atproto.sync.listRepos({
        limit: 1,
        ...(cursor === undefined ? {} : { cursor }),
      })
      for (const { did, head, rev, active } of data.repos) {
        expect(active).toBe(true)
        const latest = await alice.agent.com.atproto.sync.getLatestCommit({ did })
        expect(latest.data).toEqual({ cid: head, rev })
        seen.push(did)
      }
      cursor = data.cursor
    } while (cursor !== undefined)
    expect(seen).toHaveLength(3)
    expect(new Set(seen).size).toBe(3)
  })

  it('tells the status of a repo', async () => {
    const { data } = await alice.agent.com.atproto.sync.getRepoStatus({ did: alice.did })
    const latest = await alice.agent.com.atproto.sync.getLatestCommit({ did: alice.did })
    expect(data).toEqual({ did: alice.did, active: true, rev: latest.data.rev })
  })

  const stranger = 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa'
  it.each([
    ['getRepo', { did: stranger }, 'RepoNotFound'],
    ['getRepo', { did: 'nobody' }, 'InvalidRequest'],
    ['getRepo', {}, 'InvalidRequest'],
    ['getRepo', { did: stranger, since: 'nope' }, 'InvalidRequest'],
    ['getRecord', { did: stranger, collection: 'app.bsky.feed.post', rkey: 'x' }, 'RepoNotFound'],
    ['getRecord', { did: stranger, collection: 'post', rkey: 'x' }, 'InvalidRequest'],
    ['getLatestCommit', { did: stranger }, 'RepoNotFound'],
    ['getRepoStatus', { did: stranger }, 'RepoNotFound'],
    ['listBlobs', { did: stranger }, 'RepoNotFound'],
    ['listRepos', { cursor: 'nope' }, 'InvalidRequest'],
    ['listRepos', { limit: '1001' }, 'InvalidRequest'],
  ])('%s refuses %j', async (method, params, error) => {
    const answer = await call(server.url, `com.atproto.sync.${method}`, {
      params: params as Record<string, string>,
    })
    expect(answer).toMatchObject({ status: 400, body: { error } })
  })
})
