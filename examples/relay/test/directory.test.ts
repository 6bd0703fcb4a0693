import { listRepos } from '@skywright/firehose'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { FakeHost } from './support/host.ts'
import { startTestNetwork, type TestNetwork } from './support/relay.ts'
import { type Subscriber, subscribe } from './support/subscriber.ts'

const UNKNOWN = `did:plc:${'a'.repeat(24)}`
/** What is no cursor of ours: other services', and what somebody may try. */
const JUNK_CURSORS = [
  '',
  '0',
  '12345',
  'zzz',
  '\0',
  'did:',
  "' OR 1=1 --",
  'did:plc:a b',
  'ä',
  '1/',
]

let stack: AsyncDisposableStack
let network: TestNetwork
let host: FakeHost
let live: Subscriber
let nowMs: number

beforeEach(async () => {
  stack = new AsyncDisposableStack()
  nowMs = Date.now()
  network = stack.use(await startTestNetwork({}, { now: () => nowMs }))
  host = await network.startHost()
  await network.requestCrawl(host.hostname)
  live = stack.use(await subscribe(network.relay.url))
})
afterEach(() => stack.disposeAsync())

async function ask(
  nsid: string,
  parameters: Readonly<Record<string, string>> | URLSearchParams = {},
): Promise<{ readonly status: number; readonly body: Record<string, unknown>; headers: Headers }> {
  const url = new URL(`/xrpc/${nsid}`, network.relay.url)
  url.search = new URLSearchParams(parameters).toString()
  const response = await fetch(url, { redirect: 'manual' })
  const text = await response.text()
  const body = (text === '' ? {} : JSON.parse(text)) as Record<string, unknown>
  return { status: response.status, body, headers: response.headers }
}

/** Every page of a list; gives what is in them. */
async function pages(
  nsid: string,
  list: string,
  parameters: Readonly<Record<string, string>>,
): Promise<Record<string, unknown>[]> {
  const found: Record<string, unknown>[] = []
  const cursors = new Set<string>()
  let cursor: Readonly<Record<string, string>> = {}
  for (;;) {
    const { status, body } = await ask(nsid, { ...parameters, ...cursor })
    expect(status).toBe(200)
    found.push(...(body[list] as Record<string, unknown>[]))
    const { cursor: next } = body
    if (typeof next !== 'string') return found
    expect(cursors.has(next)).toBe(false)
    cursors.add(next)
    cursor = { cursor: next }
  }
}

async function accounts(count: number): Promise<readonly string[]> {
  const dids: string[] = []
  for (let i = 0; i < count; i++) dids.push((await host.createAccount()).did)
  await live.until((s) => s.repoEvents().length >= 3 * count, 'the accounts')
  return dids.toSorted()
}

describe('getRepo', () => {
  it('gives those who come at once for one repository their turns, and others none to wait for', async () => {
    const [one = '', two = ''] = await accounts(2)
    const answers = await Promise.all(
      Array.from({ length: 5 }, () => ask('com.atproto.sync.getRepo', { did: one })),
    )
    expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 5 }, () => 302))
    expect(answers.map(({ headers }) => headers.get('retry-after') ?? '0').toSorted()).toEqual([
      '0',
      '1',
      '2',
      '3',
      '4',
    ])
    // The same question has one place, for a cache in front of the host; the turn is each caller's own.
    expect(new Set(answers.map(({ headers }) => headers.get('location'))).size).toBe(1)
    expect(new Set(answers.map(({ headers }) => headers.get('cache-control')))).toEqual(
      new Set(['no-store']),
    )
    const other = await ask('com.atproto.sync.getRepo', { did: two })
    expect(other.headers.get('retry-after')).toBeNull()
    nowMs += 60_000
    const later = await ask('com.atproto.sync.getRepo', { did: one })
    expect(later.headers.get('retry-after')).toBeNull()
  })

  it('hands on nothing but the parameters it knows', async () => {
    const [did = ''] = await accounts(1)
    const url = `${network.relay.url}/xrpc/com.atproto.sync.getRepo`
    const parameters = new URLSearchParams({ since: '3l3qo2vuowo2b', did })
    const { headers } = await fetch(`${url}?${parameters.toString()}`, { redirect: 'manual' })
    expect(headers.get('location')).toBe(
      `${host.url}/xrpc/com.atproto.sync.getRepo?did=${encodeURIComponent(did)}&since=3l3qo2vuowo2b`,
    )
  })
})

describe('lists', () => {
  it('page through every repository once, and continue after what is new', async () => {
    const dids = await accounts(7)
    // Known, and without a commit: not a repository yet, and no short page either.
    const bare = `did:plc:${'2'.repeat(24)}`
    const document = network.plc.documents.get(dids[0] ?? '')
    if (document === undefined) throw new Error('no document')
    network.plc.documents.set(bare, { ...document, id: bare })
    await host.emit({ type: 'identity', seq: 0, did: bare, time: new Date(nowMs).toISOString() })
    await live.until((s) => s.repoEvents().length === 22, 'the identity')
    for (const limit of ['1', '3', '7', '8', '1000']) {
      const repos = await pages('com.atproto.sync.listRepos', 'repos', { limit })
      expect(repos.map(({ did }) => did)).toEqual(dids)
    }
    const { body } = await ask('com.atproto.sync.listRepos', { limit: '3' })
    expect(body['repos']).toHaveLength(3)
    const found: string[] = []
    for await (const page of listRepos({ service: network.relay.url })) found.push(...page.dids)
    expect(found).toEqual(dids)
  })

  it('page through every host once, the one known longest first', async () => {
    const hosts = [host.hostname]
    for (let i = 0; i < 4; i++) {
      // Two and two in one millisecond.
      nowMs += (i + 1) % 2
      const { hostname } = await network.startHost()
      await network.requestCrawl(hostname)
      hosts.push(hostname)
    }
    for (const limit of ['1', '2', '5', '1000']) {
      const listed = await pages('com.atproto.sync.listHosts', 'hosts', { limit })
      expect(listed.map(({ hostname }) => String(hostname)).toSorted()).toEqual(hosts.toSorted())
      expect(listed[0]).toMatchObject({ hostname: host.hostname, status: 'active' })
    }
    const { body } = await ask('com.atproto.sync.listHosts', { limit: '5' })
    nowMs += 1
    const late = await network.startHost()
    await network.requestCrawl(late.hostname)
    const next = await ask('com.atproto.sync.listHosts', { cursor: body['cursor'] as string })
    expect(next.body['hosts']).toMatchObject([{ hostname: late.hostname }])
  })

  it('refuse a cursor that is none of theirs, and limits out of bounds', async () => {
    const collection = { collection: 'app.bsky.feed.post' }
    const many = { collections: 'app.bsky.feed.*' }
    const lists = [
      ['com.atproto.sync.listRepos', {}, 1_000],
      ['com.atproto.sync.listHosts', {}, 1_000],
      ['com.atproto.sync.listReposByCollection', collection, 2_000],
      ['io.github.skywright.relay.listReposByCollections', many, 2_000],
    ] as const
    for (const [nsid, parameters, most] of lists) {
      for (const cursor of JUNK_CURSORS) {
        const { status, body } = await ask(nsid, { ...parameters, cursor })
        expect([nsid, cursor, status, body['error']]).toEqual([nsid, cursor, 400, 'InvalidRequest'])
      }
      for (const limit of ['0', '-1', '1.5', 'x', '', String(most + 1), '9'.repeat(30)]) {
        const { status, body } = await ask(nsid, { ...parameters, limit })
        expect([nsid, limit, status, body['error']]).toEqual([nsid, limit, 400, 'InvalidRequest'])
      }
      expect((await ask(nsid, { ...parameters, limit: String(most) })).status).toBe(200)
    }
  })
})

describe('listReposByCollections', () => {
  const nsid = 'io.github.skywright.relay.listReposByCollections'

  it('finds accounts by several collections, and by all below a name', async () => {
    const [one, two, three] = [
      await host.createAccount(),
      await host.createAccount(),
      await host.createAccount(),
    ]
    const create = (collection: string) =>
      ({ action: 'create', collection, rkey: 'self', record: { $type: collection } }) as const
    await host.write(one, [create('app.bsky.feed.like'), create('app.bsky.feed.post')])
    await host.write(two, [create('app.bsky.feedback.like')])
    await host.write(three, [create('com.example.thing')])
    await live.until((s) => s.repoEvents().length === 12, 'the commits')
    const found = async (...collections: string[]): Promise<unknown[]> => {
      const parameters = new URLSearchParams(collections.map((name) => ['collections', name]))
      const { status, body } = await ask(nsid, parameters)
      expect(status).toBe(200)
      return (body['repos'] as { did: string }[]).map(({ did }) => did)
    }
    const sorted = (...list: { did: string }[]) => list.map(({ did }) => did).toSorted()
    expect(await found('app.bsky.feed.*')).toEqual(sorted(one))
    expect(await found('app.bsky.*')).toEqual(sorted(one, two))
    expect(await found('app.bsky.feed.post', 'com.example.*')).toEqual(sorted(one, three))
    const some = await pages(nsid, 'repos', { collections: 'app.bsky.*', limit: '1' })
    expect(some.map(({ did }) => did)).toEqual(sorted(one, two))
    await host.write(one, [
      { action: 'delete', collection: 'app.bsky.feed.like', rkey: 'self' },
      { action: 'delete', collection: 'app.bsky.feed.post', rkey: 'self' },
    ])
    await live.until((s) => s.repoEvents().length === 13, 'the removal')
    expect(await found('app.bsky.*')).toEqual(sorted(two))
  })

  it('refuses what is no pattern, and too many of them', async () => {
    const bad = [
      '*',
      '.*',
      'app.*',
      'app.bsky*',
      'app.*.post',
      'a',
      '',
      'app.bsky.feed.\0',
      'a b.*',
    ]
    for (const collections of [...bad, `${'a.'.repeat(200)}*`]) {
      const { status, body } = await ask(nsid, { collections })
      expect([collections, status, body['error']]).toEqual([collections, 400, 'InvalidRequest'])
    }
    const many = Array.from({ length: 21 }, () => ['collections', 'app.bsky.*'])
    expect((await ask(nsid, new URLSearchParams(many))).status).toBe(400)
    expect((await ask(nsid, new URLSearchParams(many.slice(1)))).status).toBe(200)
    expect((await ask(nsid)).status).toBe(400)
  })
})

describe('an account of did:web', () => {
  it('is in the stream and in every list, as any other', async () => {
    const account = await host.createWebAccount()
    const { did } = account
    expect(did).toMatch(/^did:web:localhost%3A\d+$/)
    const commit = await host.post(account, 'hello')
    await live.until((s) => s.repoEvents().length === 4, 'its events')
    const head = { did, head: commit.cid.toString(), rev: commit.rev, active: true }
    expect((await ask('com.atproto.sync.listRepos')).body['repos']).toEqual([head])
    const collection = { collection: 'app.bsky.feed.post', limit: '1' }
    const nsid = 'com.atproto.sync.listReposByCollection'
    const { body } = await ask(nsid, collection)
    expect(body).toEqual({ repos: [{ did }], cursor: did })
    expect((await ask(nsid, { ...collection, cursor: did })).body['repos']).toEqual([])
    expect((await ask('com.atproto.sync.getRepo', { did })).headers.get('location')).toBe(
      `${host.url}/xrpc/com.atproto.sync.getRepo?did=${encodeURIComponent(did)}`,
    )
  })
})

describe('questions about one', () => {
  it('are answered with the errors the lexicons name', async () => {
    for (const nsid of ['getRepoStatus', 'getLatestCommit', 'getRepo']) {
      const method = `com.atproto.sync.${nsid}`
      expect(await ask(method, { did: UNKNOWN })).toMatchObject({
        status: 400,
        body: { error: 'RepoNotFound' },
      })
      for (const did of ['', 'x', 'did:plc', 'did:plc:a\0', `did:plc:${'a'.repeat(5_000)}`]) {
        const { status, body } = await ask(method, { did })
        expect([nsid, did, status, body['error']]).toEqual([nsid, did, 400, 'InvalidRequest'])
      }
      expect(await ask(method)).toMatchObject({ status: 400, body: { error: 'InvalidRequest' } })
    }
    for (const hostname of ['', 'x', '\0', 'a'.repeat(10_000), 'http://localhost']) {
      expect(await ask('com.atproto.sync.getHostStatus', { hostname })).toMatchObject({
        status: 400,
        body: { error: 'HostNotFound' },
      })
    }
  })

  it.each([
    ['takendown', 'RepoTakendown'],
    ['suspended', 'RepoSuspended'],
    ['deactivated', 'RepoDeactivated'],
    ['something new', 'RepoDeactivated'],
    ['deleted', 'RepoNotFound'],
  ])('tell of an account that its host calls %s', async (status, error) => {
    const [did = ''] = await accounts(1)
    const time = new Date(nowMs).toISOString()
    await host.emit({ type: 'account', seq: 0, did, active: false, status, time })
    await live.until((s) => s.repoEvents().length === 4, 'the change')
    for (const nsid of ['getLatestCommit', 'getRepo']) {
      expect(await ask(`com.atproto.sync.${nsid}`, { did })).toMatchObject({
        status: 400,
        body: { error },
      })
    }
    const { body } = await ask('com.atproto.sync.getRepoStatus', { did })
    expect(body).toEqual({ did, active: false, status })
    const listed = await ask('com.atproto.sync.listRepos')
    expect(listed.body['repos']).toMatchObject([{ did, active: false, status }])
  })
})
