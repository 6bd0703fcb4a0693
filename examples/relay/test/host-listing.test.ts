import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { FakeHostOptions } from './support/host.ts'
import { startTestNetwork, type TestNetwork } from './support/relay.ts'
import { subscribe } from './support/subscriber.ts'

let network: TestNetwork
let nowMs: number

beforeEach(async () => {
  nowMs = Date.now()
  network = await startTestNetwork({ accountLimit: 5 }, { now: () => nowMs })
})
afterEach(() => network[Symbol.asyncDispose]())

const STRANGER = `did:plc:${'a'.repeat(24)}`

type Answer = NonNullable<FakeHostOptions['answer']>

/** Accounts of a host, made before the relay knows it: nothing of them is in the stream that the relay reads. */
async function startOldHost(
  accounts: number,
  { page = 2, answer }: { readonly page?: number; readonly answer?: Answer } = {},
) {
  const dids: string[] = []
  const repos: { did: string; rev: string; head: string; active: boolean }[] = []
  const asked: string[] = []
  const host = await network.startHost({
    answer: (nsid, parameters) => {
      asked.push(`${nsid} ${parameters.get('cursor') ?? parameters.get('repo') ?? ''}`.trim())
      const other = answer?.(nsid, parameters)
      if (other !== undefined) return other
      if (nsid === 'com.atproto.sync.listRepos') {
        const start = Number(parameters.get('cursor') ?? 0)
        const end = start + page
        return {
          body: {
            repos: repos.slice(start, end),
            ...(end < repos.length ? { cursor: String(end) } : {}),
          },
        }
      }
      if (nsid !== 'com.atproto.repo.describeRepo') return undefined
      return { body: { collections: ['app.bsky.feed.post', 'app.bsky.graph.follow', 'no nsid'] } }
    },
  })
  for (let i = 0; i < accounts; i++) {
    const { did, repo } = await host.createAccount()
    const { rev, commit } = await repo.head()
    dids.push(did)
    repos.push({ did, rev, head: commit.toString(), active: true })
  }
  return { host, dids: dids.toSorted(), repos, asked }
}

async function listed(): Promise<readonly { did: string; rev: string; head: string }[]> {
  return (await network.client.query('com.atproto.sync.listRepos', {})).repos
}

async function holders(collection: string): Promise<readonly string[]> {
  const { repos } = await network.client.query('com.atproto.sync.listReposByCollection', {
    collection,
  })
  return repos.map(({ did }) => did)
}

describe('the accounts a host had before', () => {
  it('are listed, with their collections, and can be asked for', async () => {
    const { host, dids, repos } = await startOldHost(3)
    await network.requestCrawl(host.hostname)
    expect(await listed()).toEqual([])
    await network.relay.listHosts()

    const wanted = repos.map(({ did, rev, head, active }) => ({ did, head, rev, active }))
    expect(await listed()).toEqual(wanted.toSorted((a, b) => (a.did < b.did ? -1 : 1)))
    expect(await holders('app.bsky.graph.follow')).toEqual(dids)
    const [first] = repos
    expect(
      await network.client.query('com.atproto.sync.getLatestCommit', { did: first!.did }),
    ).toEqual({ cid: first!.head, rev: first!.rev })
    expect(
      await network.client.query('com.atproto.sync.getRepoStatus', { did: first!.did }),
    ).toEqual({ did: first!.did, active: true, rev: first!.rev })
    expect(
      await network.client.query('com.atproto.sync.getHostStatus', { hostname: host.hostname }),
    ).toMatchObject({ accountCount: 3 })
  })

  it('take no event away, and give way to what the stream shows', async () => {
    const { host } = await startOldHost(0)
    await network.requestCrawl(host.hostname)
    await network.relay.listHosts()
    const late = await startOldHost(1)
    const [{ did, rev } = { did: '', rev: '' }] = late.repos
    await network.requestCrawl(late.host.hostname)
    await network.relay.listHosts()
    await using heard = await subscribe(network.relay.url)
    // The commit that was listed comes over the stream as well, as one that was still under way would.
    const [entry] = late.host.commits.filter((event) => event.did === did)
    expect(entry?.rev).toBe(rev)
    await late.host.emit(entry!)
    await heard.until((s) => s.repoEvents().length === 1, 'the commit')
    expect(heard.repoEvents()[0]).toMatchObject({ did, rev })
    expect(await listed()).toMatchObject([{ did, rev }])
  })

  it('are asked for once, and from where it was when the host failed or the relay was restarted', async () => {
    let failing = true
    const { host, dids, asked } = await startOldHost(4, {
      answer: (nsid, parameters) =>
        failing && nsid === 'com.atproto.sync.listRepos' && parameters.get('cursor') === '2'
          ? { status: 503, body: {} }
          : undefined,
    })
    await network.requestCrawl(host.hostname)
    await network.relay.listHosts()
    expect(await listed()).toHaveLength(2)
    asked.length = 0
    // Not at once again.
    await network.relay.listHosts()
    expect(asked).toEqual([])
    nowMs += 300_000
    failing = false
    await network.restart()
    await network.relay.listHosts()
    expect((await listed()).map(({ did }) => did)).toEqual(dids)
    const pages = asked.filter((question) => question.startsWith('com.atproto.sync.listRepos'))
    expect(pages).toEqual(['com.atproto.sync.listRepos 2'])
    asked.length = 0
    nowMs += 30 * 86_400_000
    await network.relay.listHosts()
    expect(asked).toEqual([])
  })

  it('are no more than the host may bring, and only its own', async () => {
    const elsewhere = await startOldHost(2)
    const { host, repos, dids } = await startOldHost(7, {
      answer: (nsid) =>
        nsid === 'com.atproto.sync.listRepos'
          ? {
              body: {
                repos: [
                  ...elsewhere.repos,
                  null,
                  { did: 'no did', rev: '3l', head: 'x' },
                  { ...repos[0], rev: 'no rev' },
                  { ...repos[1], active: false },
                  ...repos.slice(2),
                  repos[0],
                ],
              },
            }
          : undefined,
    })
    await network.requestCrawl(host.hostname)
    await network.relay.listHosts()
    const inactive = repos[1]!.did
    const over = repos[0]!.did
    expect((await listed()).map(({ did }) => did)).toEqual(
      dids.filter((did) => did !== inactive && did !== over),
    )
    expect(await listed()).toHaveLength(5)
  })

  it('are not asked for where the configuration says so', async () => {
    await using quiet = await startTestNetwork({ listHosts: false, plcUrl: network.plc.url })
    const { host, asked, dids } = await startOldHost(2)
    await quiet.requestCrawl(host.hostname)
    await quiet.relay.listHosts()
    expect((await quiet.client.query('com.atproto.sync.listRepos', {})).repos).toEqual([])
    const questions = () => asked.filter((question) => !question.includes('describeServer'))
    expect(questions()).toEqual([])
    await network.requestCrawl(host.hostname)
    await network.relay.listHosts()
    expect((await listed()).map(({ did }) => did)).toEqual(dids)
    expect(questions()).not.toEqual([])
  })

  it('are shown as deleted when they are', async () => {
    const { host, dids } = await startOldHost(2)
    await network.requestCrawl(host.hostname)
    await network.relay.listHosts()
    const [did = ''] = dids
    await using heard = await subscribe(network.relay.url)
    const time = new Date(nowMs).toISOString()
    await host.emit({ type: 'account', seq: 0, did, active: false, status: 'deleted', time })
    await heard.until((s) => s.repoEvents().length === 1, 'the deletion')
    const [gone] = (await listed()).filter((repo) => repo.did === did)
    expect(gone).toMatchObject({ active: false, status: 'deleted' })
    await expect(
      network.client.query('com.atproto.sync.getLatestCommit', { did }),
    ).rejects.toMatchObject({ error: 'RepoNotFound' })
  })

  it.each([
    ['nothing', () => [], 0],
    ['accounts nobody knows', (all: readonly object[]) => [{ ...all[0], did: STRANGER }], 0],
    ['the same accounts', (all: readonly object[]) => all, 2],
  ])(
    'are not asked for without end by a host that goes on giving %s',
    async (_what, answer, expected) => {
      let pages = 0
      const { host, repos } = await startOldHost(2, {
        answer: (nsid) =>
          nsid === 'com.atproto.sync.listRepos'
            ? { body: { repos: answer(repos), cursor: `page ${++pages}` } }
            : undefined,
      })
      await network.requestCrawl(host.hostname)
      await network.relay.listHosts()
      expect(pages).toBeGreaterThan(0)
      expect(pages).toBeLessThan(100)
      expect(await listed()).toHaveLength(expected)
      const before = pages
      await network.relay.listHosts()
      expect(pages).toBe(before)
    },
  )
})
