import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { RepoEvent } from '@skywright/firehose'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { FakeAccount, FakeHost } from './support/host.ts'
import { ADMIN_HEADERS, startTestNetwork, type TestNetwork } from './support/relay.ts'
import { type Subscriber, subscribe } from './support/subscriber.ts'

let stack: AsyncDisposableStack
let network: TestNetwork
let host: FakeHost
let live: Subscriber

beforeEach(async () => {
  stack = new AsyncDisposableStack()
  network = stack.use(await startTestNetwork())
  host = await network.startHost()
  await network.requestCrawl(host.hostname)
  live = stack.use(await subscribe(network.relay.url))
})

afterEach(() => stack.disposeAsync())

const time = '2026-11-21T00:00:00.000Z'

function of(did: string): RepoEvent[] {
  return live.repoEvents().filter((event) => event.did === did)
}

async function heard(did: string, count: number): Promise<RepoEvent[]> {
  await live.until(() => of(did).length >= count, `${String(count)} events of ${did}`)
  return of(did)
}

/** Waits until everything the host sent was handled. */
async function settled(from: FakeHost = host): Promise<void> {
  await network.until(async () => {
    const { hostname } = from
    const { outcomes = [] } = await network.client.query(
      'io.github.skywright.relay.getHostReport',
      { hostname },
    )
    const handled = outcomes.filter(({ outcome }) => outcome !== 'connection')
    return handled.reduce((sum, { count }) => sum + count, 0) >= from.lastSeq()
  }, 'everything to be handled')
}

async function status(account: FakeAccount): Promise<object> {
  return network.client.query('com.atproto.sync.getRepoStatus', { did: account.did })
}

async function failure(promise: Promise<unknown>): Promise<object> {
  return promise.then(
    () => ({ error: 'none' }),
    (error: object) => error,
  )
}

function takedown(account: FakeAccount, applied: boolean): Promise<unknown> {
  return network.client.procedure(
    'com.atproto.admin.updateSubjectStatus',
    {
      subject: { $type: 'com.atproto.admin.defs#repoRef', did: account.did },
      takedown: { applied },
    },
    { headers: ADMIN_HEADERS },
  )
}

describe('accounts', () => {
  it('are listed with their last commit and redirected to their host', async () => {
    const account = await host.createAccount()
    const { did } = account
    const commit = await host.post(account, 'hello')
    await heard(did, 4)
    const { client } = network
    expect(await client.query('com.atproto.sync.listRepos')).toEqual({
      repos: [{ did, head: commit.cid.toString(), rev: commit.rev, active: true }],
    })
    expect(await client.query('com.atproto.sync.getLatestCommit', { did })).toEqual({
      cid: commit.cid.toString(),
      rev: commit.rev,
    })
    expect(await status(account)).toEqual({ did, active: true, rev: commit.rev })
    const response = await fetch(
      `${network.relay.url}/xrpc/com.atproto.sync.getRepo?did=${did}&since=${commit.rev}`,
      { redirect: 'manual' },
    )
    expect(response.status).toBe(302)
    expect(response.headers.get('location')).toBe(
      `${host.url}/xrpc/com.atproto.sync.getRepo?did=${encodeURIComponent(did)}&since=${commit.rev}`,
    )
    const unknown = { did: 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa' } as const
    for (const nsid of ['getRepoStatus', 'getLatestCommit', 'getRepo'] as const) {
      expect(await failure(client.query(`com.atproto.sync.${nsid}`, unknown))).toMatchObject({
        status: 400,
        error: 'RepoNotFound',
      })
    }
  })

  it('stop while their host says they are inactive, and come back', async () => {
    const account = await host.createAccount()
    const { did } = account
    await host.emit({ type: 'account', seq: 0, did, active: false, status: 'deactivated', time })
    await host.post(account, 'unheard')
    await settled()
    expect(of(did)).toHaveLength(4)
    expect(await status(account)).toEqual({ did, active: false, status: 'deactivated' })
    expect(
      await failure(network.client.query('com.atproto.sync.getLatestCommit', { did })),
    ).toMatchObject({ error: 'RepoDeactivated' })
    await host.emit({ type: 'account', seq: 0, did, active: true, time })
    await host.post(account, 'back')
    expect((await heard(did, 6)).map((event) => event.type).slice(4)).toEqual(['account', 'commit'])
  })

  it('count for their host until they are deleted', async () => {
    const { hostname } = host
    const count = async (): Promise<number | undefined> =>
      (await network.client.query('com.atproto.sync.getHostStatus', { hostname })).accountCount
    const [one] = [await host.createAccount(), await host.createAccount()]
    await settled()
    expect(await count()).toBe(2)
    const { did } = one
    // The directory forgets a deleted account before its host says so.
    network.plc.documents.delete(did)
    await host.emit({ type: 'account', seq: 0, did, active: false, status: 'deleted', time })
    await heard(did, 4)
    expect(await count()).toBe(1)
    expect(await status(one)).toEqual({ did, active: false, status: 'deleted' })
  })

  it('are refused above the limit of their host, which is then throttled, until there is room', async () => {
    const { hostname } = host
    const limit = (accountLimit: number): Promise<unknown> =>
      network.client.procedure(
        'io.github.skywright.relay.updateHost',
        { hostname, accountLimit },
        { headers: ADMIN_HEADERS },
      )
    const first = await host.createAccount()
    await heard(first.did, 3)
    await limit(1)
    const second = await host.createAccount()
    await host.post(first, 'still welcome')
    await heard(first.did, 4)
    const refused = await network.client.query('io.github.skywright.relay.getHostReport', {
      hostname,
    })
    expect(refused).toMatchObject({ status: 'throttled', accountCount: 1, accountLimit: 1 })
    expect(refused.outcomes).toContainEqual(
      expect.objectContaining({ outcome: 'rejected', reason: 'account-limit', count: 3 }),
    )
    // The answer says so at once, and not when the next account comes.
    expect(await limit(2)).toMatchObject({ status: 'active', accountLimit: 2 })
    await host.post(second, 'let in')
    expect((await heard(second.did, 1)).map((event) => event.type)).toEqual(['commit'])
    expect(
      await network.client.query('com.atproto.sync.getHostStatus', { hostname }),
    ).toMatchObject({ status: 'active', accountCount: 2 })
  })

  it('move to another host, after which the old one has no say', async () => {
    const account = await host.createAccount()
    const { did } = account
    await heard(did, 3)
    const target = await network.startHost()
    await network.requestCrawl(target.hostname)
    const document = network.plc.documents.get(did)
    if (document === undefined) throw new Error('no document')
    network.plc.documents.set(did, {
      ...document,
      service: [
        {
          id: '#atproto_pds',
          type: 'AtprotoPersonalDataServer',
          serviceEndpoint: target.url,
        },
      ],
    })
    await target.emit({ type: 'identity', seq: 0, did, time })
    await target.emit({ type: 'account', seq: 0, did, active: true, time })
    await heard(did, 5)
    await target.post(account, 'from the new host')
    await heard(did, 6)
    await host.emit({ type: 'account', seq: 0, did, active: false, status: 'deactivated', time })
    await host.post(account, 'from the old host')
    await settled()
    expect(of(did)).toHaveLength(6)
    expect(await status(account)).toMatchObject({ active: true })
    const counts = await network.client.query('com.atproto.sync.listHosts')
    expect(
      Object.fromEntries(counts.hosts.map((item) => [item.hostname, item.accountCount])),
    ).toEqual({ [host.hostname]: 0, [target.hostname]: 1 })
  })

  it('cannot be spoken for by a foreign host', async () => {
    const account = await host.createAccount()
    await heard(account.did, 3)
    const foreign = await network.startHost()
    await network.requestCrawl(foreign.hostname)
    const { did } = account
    await foreign.emit({ type: 'account', seq: 0, did, active: false, status: 'deleted', time })
    await foreign.emit({ type: 'identity', seq: 0, did, time })
    await foreign.post(account, 'stolen')
    await settled(foreign)
    expect(of(did)).toHaveLength(3)
    expect(await status(account)).toMatchObject({ active: true })
    const { outcomes } = await network.client.query('io.github.skywright.relay.getHostReport', {
      hostname: foreign.hostname,
    })
    expect(outcomes).toContainEqual(
      expect.objectContaining({ outcome: 'rejected', reason: 'wrong-host', count: 3 }),
    )
  })

  it('taken down vanish from the stream, the window and the methods, and can come back', async () => {
    const account = await host.createAccount()
    const other = await host.createAccount()
    const { did } = account
    await host.post(account, 'bad words nobody else writes')
    await host.post(other, 'good words nobody else writes')
    await heard(did, 4)
    await heard(other.did, 4)
    const onDisk = (text: string): boolean => {
      const folder = join(network.directory, 'log')
      return readdirSync(folder).some((name) => readFileSync(join(folder, name)).includes(text))
    }
    expect(onDisk('bad words nobody else writes')).toBe(true)
    await takedown(account, true)
    // Not only out of sight: rewritten.
    expect(onDisk('bad words nobody else writes')).toBe(false)
    expect(onDisk('good words nobody else writes')).toBe(true)
    const announced = (await heard(did, 5)).at(-1)
    expect(announced).toMatchObject({ type: 'account', active: false, status: 'takendown' })

    await host.post(account, 'worse')
    await host.emit({ type: 'account', seq: 0, did, active: true, time })
    await settled()
    expect(of(did)).toHaveLength(5)
    await using replay = await subscribe(network.relay.url, 0)
    await replay.until((s) => s.repoEvents().length >= 5, 'a replay')
    expect(replay.repoEvents().filter((event) => event.did === did)).toEqual([announced])
    expect(replay.repoEvents().filter((event) => event.did === other.did)).toHaveLength(4)

    expect(await status(account)).toEqual({ did, active: false, status: 'takendown' })
    for (const nsid of ['getLatestCommit', 'getRepo'] as const) {
      expect(
        await failure(network.client.query(`com.atproto.sync.${nsid}`, { did })),
      ).toMatchObject({ error: 'RepoTakendown' })
    }
    const { repos } = await network.client.query('com.atproto.sync.listRepos')
    expect(repos.find((repo) => repo.did === did)).toMatchObject({
      active: false,
      status: 'takendown',
    })
    await network.restart()
    expect(await status(account)).toEqual({ did, active: false, status: 'takendown' })

    await using after = await subscribe(network.relay.url)
    await takedown(account, false)
    await host.post(account, 'better')
    await after.until((s) => s.repoEvents().length === 2, 'the account back')
    expect(after.repoEvents()).toMatchObject([
      { type: 'account', did, active: true },
      { type: 'commit', did },
    ])
  })

  it('are taken down by the admin only', async () => {
    const account = await host.createAccount()
    await heard(account.did, 3)
    const input = {
      subject: { $type: 'com.atproto.admin.defs#repoRef' as const, did: account.did },
      takedown: { applied: true },
    }
    const wrong = [undefined, 'Basic !!!', 'Bearer x', `Basic ${btoa('admin:')}`]
    wrong.push(`Basic ${btoa('root:a long password')}`, `Basic ${btoa('admin:a long passwore')}`)
    for (const authorization of wrong) {
      expect(
        await failure(
          network.client.procedure('com.atproto.admin.updateSubjectStatus', input, {
            headers: authorization === undefined ? {} : { authorization },
          }),
        ),
      ).toMatchObject({ status: 401 })
    }
    const { headers } = await fetch(
      `${network.relay.url}/xrpc/com.atproto.admin.getSubjectStatus?did=${account.did}`,
    )
    expect(headers.get('www-authenticate')).toMatch(/^Basic/)
    expect(await status(account)).toMatchObject({ active: true })
    expect(
      await network.client.query(
        'com.atproto.admin.getSubjectStatus',
        { did: account.did },
        { headers: ADMIN_HEADERS },
      ),
    ).toMatchObject({ takedown: { applied: false } })
  })

  it('are safe from somebody who tries passwords', async () => {
    const account = await host.createAccount()
    await heard(account.did, 3)
    const ask = async (password: string): Promise<number> => {
      const { status: answer } = await fetch(
        `${network.relay.url}/xrpc/com.atproto.admin.getSubjectStatus?did=${account.did}`,
        { headers: { authorization: `Basic ${btoa(`admin:${password}`)}` } },
      )
      return answer
    }
    expect(await ask('a long password')).toBe(200)
    const answers: number[] = []
    for (let i = 0; i < 40; i++) answers.push(await ask(`guess ${String(i)}`))
    expect(answers.slice(0, 5)).toEqual([401, 401, 401, 401, 401])
    expect(answers.at(-1)).toBe(429)
    // From now on not even the right one helps: a guess must not be told from a miss.
    expect(await ask('a long password')).toBe(429)
    const { headers } = await fetch(`${network.relay.url}/xrpc/com.atproto.sync.listHosts`)
    expect(headers.get('server')).toBe('skywright-relay')
  })

  it('are found by collection until the last record of it is gone', async () => {
    const [one, two] = [await host.createAccount(), await host.createAccount()]
    const like = (rkey: string): Parameters<FakeHost['write']>[1][number] => ({
      action: 'create',
      collection: 'app.bsky.feed.like',
      rkey,
      record: { $type: 'app.bsky.feed.like', createdAt: time },
    })
    const unlike = (rkey: string): Parameters<FakeHost['write']>[1][number] => ({
      action: 'delete',
      collection: 'app.bsky.feed.like',
      rkey,
    })
    const likers = async (collection: 'app.bsky.feed.like' | 'app.bsky.feed.post') => {
      await settled()
      const { repos } = await network.client.query('com.atproto.sync.listReposByCollection', {
        collection,
      })
      return repos.map((repo) => repo.did)
    }
    const both: string[] = [one.did, two.did].toSorted()
    await host.post(one, 'x')
    await host.write(one, [like('a'), like('b')])
    await host.write(two, [like('c')])
    expect(await likers('app.bsky.feed.like')).toEqual(both)
    expect(await likers('app.bsky.feed.post')).toEqual([one.did])
    await host.write(one, [unlike('a')])
    expect(await likers('app.bsky.feed.like')).toEqual(both)
    await host.write(one, [unlike('b')])
    expect(await likers('app.bsky.feed.like')).toEqual([two.did])
    expect(await likers('app.bsky.feed.post')).toEqual([one.did])
    const { did } = two
    await host.emit({ type: 'account', seq: 0, did, active: false, status: 'deleted', time })
    expect(await likers('app.bsky.feed.like')).toEqual([])
  })
})
