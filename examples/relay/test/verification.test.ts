import { commitEvent, type CommitEvent, type RepoEvent } from '@skywright/firehose'
import { generatePrivateKey } from '@skywright/identity/keys'
import { createMemoryRepoStore, Repo, type Commit } from '@skywright/repo'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { decodeEvent } from '@skywright/firehose'
import type { FakeAccount, FakeHost } from './support/host.ts'
import { ADMIN_HEADERS, startTestNetwork, type TestNetwork } from './support/relay.ts'
import { type Subscriber, subscribe } from './support/subscriber.ts'

let stack: AsyncDisposableStack
let network: TestNetwork
let host: FakeHost
let account: FakeAccount
let live: Subscriber

beforeEach(async () => {
  stack = new AsyncDisposableStack()
  network = stack.use(await startTestNetwork())
  host = await network.startHost()
  await network.requestCrawl(host.hostname)
  live = stack.use(await subscribe(network.relay.url))
  account = await host.createAccount()
})

afterEach(() => stack.disposeAsync())

const time = '2026-11-21T00:00:00.000Z'

/** A commit that is made and not sent. */
async function makeCommit(text: string): Promise<Commit> {
  const { commit } = await account.repo.applyWrites([
    {
      action: 'create',
      collection: 'app.bsky.feed.post',
      rkey: text,
      record: { $type: 'app.bsky.feed.post', text, createdAt: time },
    },
  ])
  if (commit === undefined) throw new Error('nothing was written')
  return commit
}

/** Sends a last, good event and gives everything the subscriber heard of the account before it. */
async function heard(): Promise<RepoEvent[]> {
  const seq = await host.emit({ type: 'identity', seq: 0, did: account.did, time: `${time}end` })
  await live.until((s) => s.repoEvents().some((event) => event.time === `${time}end`), `seq ${seq}`)
  return live.repoEvents().slice(3, -1)
}

async function report(): Promise<{ outcomes: Map<string, number>; incidents: readonly object[] }> {
  const { outcomes = [], incidents = [] } = await network.client.query(
    'io.github.skywright.relay.getHostReport',
    { hostname: host.hostname },
  )
  return {
    outcomes: new Map(
      outcomes.map(({ outcome, reason, count }) => [
        reason === undefined ? outcome : `${outcome} ${reason}`,
        count,
      ]),
    ),
    incidents,
  }
}

function flip(bytes: Uint8Array, at: number): Uint8Array {
  const copy = bytes.slice()
  copy[at] = (copy[at] ?? 0) ^ 1
  return copy
}

describe('verification', () => {
  it('drops every lie, says why, and goes on', async () => {
    const good = commitEvent(await makeCommit('one'), time)
    const [op] = good.ops
    if (op === undefined || op.cid === null) throw new Error('no op')
    const other = generatePrivateKey('k256')
    const forged = await Repo.create(createMemoryRepoStore(), { did: account.did, signer: other })
    const lies: Record<string, CommitEvent> = {
      'bad-signature': { ...commitEvent(forged.commit, time), since: null },
      'commit-mismatch': { ...good, commit: op.cid },
      'inversion-mismatch': { ...good, ops: [] },
      'op-mismatch': { ...good, ops: [{ ...op, path: 'app.bsky.feed.post/other' }] },
      'duplicate-path': { ...good, ops: [op, op] },
      'missing-prev-data': omitPrevData(good),
      'invalid-car': { ...good, blocks: flip(good.blocks, good.blocks.length - 1) },
      'future-rev': { ...good, rev: '7zzzzzzzzzzzz' },
      'invalid-rev': { ...good, rev: 'x' },
      'too-many-ops': {
        ...good,
        ops: Array.from({ length: 201 }, (_, i) => ({ ...op, path: `a.b.c/${String(i)}` })),
      },
    }
    for (const lie of Object.values(lies)) await host.emit(lie)
    await host.emit(good)
    await host.emit(good)
    const events = await heard()
    expect(events).toHaveLength(1)
    expect(events[0]).toMatchObject({ type: 'commit', rev: good.rev })

    const { outcomes, incidents } = await report()
    for (const reason of Object.keys(lies)) {
      expect([reason, outcomes.get(`rejected ${reason}`)]).toEqual([reason, 1])
    }
    expect(outcomes.get('rejected stale-rev')).toBe(1)
    // Prometheus counts the same, by reason, and names no account and no host.
    const metrics = await (await fetch(`${network.relay.url}/metrics`)).text()
    for (const reason of [...Object.keys(lies), 'stale-rev']) {
      expect(metrics).toContain(`relay_events_total{outcome="rejected",reason="${reason}"} 1\n`)
    }
    expect(metrics).not.toContain(account.did)
    expect(metrics).not.toContain(host.hostname)
    // Nothing vanished: identity, account, first commit, the good one, and the identity at the end.
    expect(outcomes.get('accepted')).toBe(5)
    expect([...outcomes.values()].reduce((sum, count) => sum + count)).toBe(host.lastSeq())
    expect(incidents).toHaveLength(Object.keys(lies).length + 1)
    expect(incidents[0]).toMatchObject({
      outcome: 'rejected',
      reason: 'stale-rev',
      did: account.did,
      rev: good.rev,
      seq: host.lastSeq() - 1,
    })
  })

  it('comes to the same verdicts in threads', async () => {
    await using threaded = await startTestNetwork({ verifyThreads: 1 })
    const other = await threaded.startHost()
    await threaded.requestCrawl(other.hostname)
    await using heardThere = await subscribe(threaded.relay.url)
    const author = await other.createAccount()
    const commits = [await other.post(author, 'one'), await other.post(author, 'two')]
    const [first] = commits
    const { commit } = await author.repo.applyWrites([
      {
        action: 'create',
        collection: 'app.bsky.feed.post',
        rkey: 'lie',
        record: { $type: 'app.bsky.feed.post', text: 'lie', createdAt: time },
      },
    ])
    if (first === undefined || commit === undefined) throw new Error('nothing was written')
    await other.emit({ ...commitEvent(commit, time), ops: [] })
    await other.emit(commitEvent(commit, time))
    await heardThere.until((s) => s.repoEvents().length === 6, 'everything true')
    expect(heardThere.repoEvents().at(-1)).toMatchObject({ type: 'commit', rev: commit.rev })
    const { outcomes } = await threaded.client.query('io.github.skywright.relay.getHostReport', {
      hostname: other.hostname,
    })
    expect(outcomes).toContainEqual(
      expect.objectContaining({ outcome: 'rejected', reason: 'inversion-mismatch', count: 1 }),
    )
  })

  it('passes what is valid and discontinuous, adopts it, and counts it', async () => {
    await makeCommit('lost')
    await host.post(account, 'after the gap')
    await host.post(account, 'and on')
    const events = await heard()
    expect(events.map((event) => event.type)).toEqual(['commit', 'commit'])
    const { outcomes } = await report()
    expect(outcomes.get('discontinuous since-mismatch')).toBe(1)
    expect(outcomes.get('accepted')).toBe(5)
  })

  it('passes a #sync and follows from it', async () => {
    const lost = await makeCommit('lost')
    const blocks = await slice(lost)
    await host.emit({ type: 'sync', seq: 0, did: account.did, rev: lost.rev, blocks, time })
    await host.post(account, 'next')
    const events = await heard()
    expect(events.map((event) => event.type)).toEqual(['sync', 'commit'])
    expect((await report()).outcomes.get('accepted')).toBe(6)
  })

  it('lets a host under observe or warn get away with missing proofs, never with a bad signature', async () => {
    const mode = (enforcement: 'observe' | 'warn' | 'enforce'): Promise<unknown> =>
      network.client.procedure(
        'io.github.skywright.relay.updateHost',
        { hostname: host.hostname, enforcement },
        { headers: ADMIN_HEADERS },
      )
    await mode('warn')
    const [one, two, three] = [
      commitEvent(await makeCommit('one'), time),
      commitEvent(await makeCommit('two'), time),
      commitEvent(await makeCommit('three'), time),
    ]
    await host.emit(omitPrevData(one))
    await host.emit({ ...two, ops: [] })
    await host.emit({ ...three, blocks: flip(three.blocks, 150) })
    await host.post(account, 'good again')
    await live.until((s) => s.repoEvents().length === 6, 'three commits')
    await mode('enforce')
    await host.emit(omitPrevData(commitEvent(await makeCommit('four'), time)))
    const events = await heard()
    expect(events.map((event) => 'rev' in event && event.rev).slice(0, 2)).toEqual([
      one.rev,
      two.rev,
    ])
    expect(events).toHaveLength(3)
    const { outcomes } = await report()
    expect(outcomes.get('tolerated missing-prev-data')).toBe(1)
    expect(outcomes.get('tolerated inversion-mismatch')).toBe(1)
    expect(outcomes.get('rejected invalid-car')).toBe(1)
    expect(outcomes.get('rejected missing-prev-data')).toBe(1)
    expect(outcomes.get('discontinuous since-mismatch')).toBe(1)
  })

  it('lists what it tolerated under warn, and only counts it under observe', async () => {
    for (const enforcement of ['observe', 'warn'] as const) {
      await network.client.procedure(
        'io.github.skywright.relay.updateHost',
        { hostname: host.hostname, enforcement },
        { headers: ADMIN_HEADERS },
      )
      await host.emit(omitPrevData(commitEvent(await makeCommit(enforcement), time)))
      await live.until((s) => s.repoEvents().length === (enforcement === 'warn' ? 5 : 4), 'it')
    }
    await heard()
    const { outcomes, incidents } = await report()
    expect(outcomes.get('tolerated missing-prev-data')).toBe(2)
    expect(incidents).toHaveLength(1)
  })

  it('keeps unknown fields: bytes go out as they came, but for seq', async () => {
    const { decodeFrame, encodeMessageFrame } = await import('@skywright/xrpc/frame')
    const { encodeEvent } = await import('@skywright/firehose')
    const good = commitEvent(await makeCommit('one'), time)
    await host.emitFrame(account.did, (seq) => {
      const frame = decodeFrame(encodeEvent(good, seq))
      if (frame.op !== 1) throw new Error('no message')
      return encodeMessageFrame(frame.type, { ...frame.body, fieldOfTheFuture: [1, 'two'] })
    })
    const [event] = await heard()
    await using raw = await subscribe(network.relay.url, (event?.seq ?? 0) - 1)
    await raw.until((s) => s.events.length > 0, 'the frame')
    const frame = raw.frames[0] ?? new Uint8Array()
    expect(decodeFrame(frame)).toMatchObject({ body: { fieldOfTheFuture: [1, 'two'] } })
    expect(decodeEvent(frame)).toMatchObject({ seq: event?.seq })
  })

  it('counts frames of unknown types and broken bodies, and goes on', async () => {
    const { encodeMessageFrame } = await import('@skywright/xrpc/frame')
    await host.emitFrame(account.did, (seq) =>
      encodeMessageFrame('#later', { seq, did: account.did, time }),
    )
    await host.emitFrame(account.did, (seq) =>
      encodeMessageFrame('#commit', { seq, repo: account.did, ops: 7 }),
    )
    await host.post(account, 'fine')
    expect(await heard()).toHaveLength(1)
    expect((await report()).outcomes.get('rejected invalid-frame')).toBe(2)
  })
})

function omitPrevData(event: CommitEvent): CommitEvent {
  const { prevData: _prevData, ...rest } = event
  return rest
}

/** A CAR of the commit block alone. */
async function slice(commit: Commit): Promise<Uint8Array> {
  const { encodeCar } = await import('@skywright/repo')
  return encodeCar([commit.cid], [{ cid: commit.cid, bytes: commit.bytes }])
}
