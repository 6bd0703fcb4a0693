import {
  cidForCbor,
  decodeCar,
  decodeCommit,
  encodeCar,
  encodeCbor,
  Mst,
  parseCid,
  type Cid,
} from '@skywright/repo'
import { describe, expect, it } from 'vitest'
import type { CommitEvent } from '../src/event.ts'
import { signCommit } from '../src/testing/commit-blocks.ts'
import { commitLies, historyLies, SimulatedNetwork } from '../src/testing/index.ts'
import { createMemoryChainStore } from '../src/verify/chain-store.ts'
import type { Outcome } from '../src/verify/outcome.ts'
import { createEventVerifier, type ChainPolicy } from '../src/verify/verifier.ts'

const nameOf = (outcome: Outcome) =>
  outcome.status === 'accepted' ? 'accepted' : `${outcome.status} ${outcome.reason}`

async function setup(
  policy: ChainPolicy,
  options: { seed?: number; accounts?: number; hosts?: number } = {},
) {
  const network = await SimulatedNetwork.create({ accounts: 4, ...options })
  const identity = network.identitySource()
  const chain = createMemoryChainStore()
  const verifier = createEventVerifier({ identity, chain, policy, now: network.now })
  /** The verdict, adopted as a consumer that finished the event would. */
  const judge = async (
    event: Parameters<typeof verifier.verify>[0],
    host?: string,
  ): Promise<string> => {
    const outcome = await verifier.verify(event, host === undefined ? {} : { host })
    if (
      outcome.status === 'accepted' ||
      (outcome.status === 'discontinuous' && policy !== 'consumer')
    ) {
      await verifier.settle(outcome.verified)
    }
    return nameOf(outcome)
  }
  const account = network.accounts[0]!
  return { network, identity, chain, verifier, judge, account }
}

describe.each(['consumer', 'relay', 'unchained'] as const)(
  'a verifier with policy %s',
  (policy) => {
    it('accepts an honest network from its first commit on', async () => {
      const { network, judge } = await setup(policy, { accounts: 0, seed: 5 })
      const counts: Record<string, number> = {}
      for (let i = 0; i < 4; i++) {
        const account = await network.addAccount()
        const entries = await account.host.log.read(0)
        expect(entries).toHaveLength(3 * (i + 1))
      }
      const { decodeEvent } = await import('../src/codec.ts')
      for (let i = 0; i < 400; i++) await network.step()
      const ops = { create: 0, update: 0, delete: 0 }
      for (const host of network.hosts) {
        for (const { frame } of await host.log.read(0, { maxEvents: 10_000, maxBytes: 1e9 })) {
          const event = decodeEvent(frame)
          if (event.type !== 'commit') continue
          const outcome = await judge(event)
          counts[outcome] = (counts[outcome] ?? 0) + 1
          for (const op of event.ops) ops[op.action]++
        }
      }
      expect(Object.keys(counts)).toEqual(['accepted'])
      expect(counts['accepted']).toBeGreaterThanOrEqual(400)
      // Not vacuous: every kind of operation was inverted.
      expect(ops.create).toBeGreaterThan(300)
      expect(ops.delete).toBeGreaterThan(5)
      expect(ops.update).toBeGreaterThan(0)
    })

    it.each(commitLies)('rejects: $name', async ({ tell, reason }) => {
      const { network, judge, account } = await setup(policy)
      for (const one of network.accounts) await judge(await firstCommit(network, one))
      let told = 0
      for (let i = 0; i < 60 && told < 8; i++) {
        // Larger commits and deletes now and then, so that every lie finds one to be told about.
        const event = i % 3 === 0 ? await batch(network, account) : await network.write(account)
        const lie = tell(event, { network, account })
        if (lie !== undefined) {
          expect(await judge(lie)).toBe(`rejected ${reason}`)
          told++
        }
        expect(await judge(event)).toBe('accepted')
      }
      expect(told).toBeGreaterThanOrEqual(5)
    })

    it.each(historyLies)('tells from the truth around it: $name', async ({ tell }) => {
      const { network, verifier, judge } = await setup(policy, { hosts: 3 })
      let judged = 0
      for (const account of network.accounts) {
        await judge(await firstCommit(network, account))
        for (const { event, host, outcome } of await tell({ network, account })) {
          if (event.type === 'identity') verifier.purge(event.did)
          else {
            expect([host, await judge(event, host)]).toEqual([host, outcome?.[policy]])
            judged++
          }
        }
      }
      expect(judged).toBeGreaterThanOrEqual(3 * network.accounts.length)
    })

    it('rejects a repeat', async () => {
      const { network, judge, account } = await setup(policy)
      await judge(await firstCommit(network, account))
      const event = await network.write(account)
      expect(await judge(event)).toBe('accepted')
      expect(await judge(event)).toBe('rejected stale-rev')
    })

    it('asks once more when a signature fails, and accepts the rotated key', async () => {
      const { network, judge, account, identity } = await setup(policy)
      await judge(await firstCommit(network, account))
      await judge(await network.write(account))
      const before = identity.resolutions
      const oldKey = account.key
      await network.rotateKey(account)
      const sync = await lastEvent(network, account)
      expect(sync.type).toBe('sync')
      if (sync.type !== 'sync') return
      expect(await judge(sync)).toBe('accepted')
      expect(identity.resolutions).toBe(before + 1)
      const event = await network.write(account)
      expect(await judge(event)).toBe('accepted')
      expect(identity.resolutions).toBe(before + 1)
      const next = await network.write(account)
      const { tell } = commitLies.find((lie) => lie.name === 'signature by another key')!
      const forged = tell(next, { network, account: { ...account, key: oldKey } })!
      expect(await judge(forged)).toBe('rejected bad-signature')
      expect(identity.resolutions).toBe(before + 2)
      expect(await judge(next)).toBe('accepted')
    })

    it('does not ask again for what no other key would explain', async () => {
      const { network, judge, account, identity } = await setup(policy)
      await judge(await firstCommit(network, account))
      const event = await network.write(account)
      const { resolutions } = identity
      for (const reason of ['inversion-mismatch', 'op-mismatch', 'commit-mismatch'] as const) {
        const lies = commitLies.filter((lie) => lie.reason === reason)
        for (const { tell } of lies) {
          const lie = tell(event, { network, account })
          if (lie !== undefined) expect(await judge(lie)).toBe(`rejected ${reason}`)
        }
        expect(lies.length).toBeGreaterThan(0)
      }
      expect(identity.resolutions).toBe(resolutions)
      expect(await judge(event)).toBe('accepted')
    })

    it('takes records as the bytes that were signed, canonical or not', async () => {
      const { network, judge, account, verifier } = await setup(policy)
      await judge(await firstCommit(network, account))
      const known = await verifier.state(account.did)
      // A float, which no strict reader takes.
      const record = new Uint8Array(Buffer.from('a1616efb3ff8000000000000', 'hex'))
      const cid = cidForCbor(record)
      const tree = Mst.empty().put('com.example.note/float', cid)
      const rev = network.clock.next(known!.rev)
      const block = signCommit({ did: account.did, rev, data: tree.root }, account.key)
      const blocks = encodeCar([block.cid], [block, ...tree.nodes(), { cid, bytes: record }])
      const event: CommitEvent = {
        type: 'commit',
        seq: 0,
        did: account.did,
        commit: block.cid,
        rev,
        since: known!.rev,
        prevData: parseCid(known!.data),
        ops: [{ action: 'create', path: 'com.example.note/float', cid }],
        blocks,
        time: network.time(),
      }
      expect(await judge(event)).toBe('accepted')
    })

    it('says that an account names no key, after one fresh look', async () => {
      const { network, account, identity, chain } = await setup(policy)
      const event = await firstCommit(network, account)
      const asked: boolean[] = []
      const keyless = createEventVerifier({
        chain,
        policy,
        now: network.now,
        identity: {
          ...identity,
          resolve: (_, { refresh }) => {
            asked.push(refresh)
            return Promise.resolve({ signingKey: undefined, pds: account.host.url })
          },
        },
      })
      expect(nameOf(await keyless.verify(event))).toBe('rejected no-signing-key')
      expect(asked).toEqual([false, true])
    })

    it('tells a broken commit object and a broken tree apart, both signed by the account', async () => {
      const { network, judge, account } = await setup(policy)
      await judge(await firstCommit(network, account))
      const event = await network.write(account)
      const { blocks } = decodeCar(event.blocks)
      /** The slice with a commit of these fields, and one block more. */
      const tampered = (fields: object, extra: readonly Uint8Array[] = []): CommitEvent => {
        const { sig: _, ...unsigned } = { ...decodeCommit(blocks.get(event.commit)!), ...fields }
        const bytes = encodeCbor({ ...unsigned, sig: account.key.sign(encodeCbor(unsigned)) })
        const commit = cidForCbor(bytes)
        const others = [...extra, ...[...blocks].map((block) => block.bytes)]
        const car = encodeCar(
          [commit],
          [bytes, ...others].map((block) => ({ cid: cidForCbor(block), bytes: block })),
        )
        return { ...event, commit, blocks: car }
      }
      expect(await judge(tampered({ version: 2 }))).toBe('rejected invalid-commit')
      expect(await judge(tampered({ data: 'no link' }))).toBe('rejected invalid-commit')
      const node = encodeCbor({
        e: [{ k: Uint8Array.of(97), p: 5, t: null, v: event.commit }],
        l: null,
      })
      expect(await judge(tampered({ data: cidForCbor(node) }, [node]))).toBe('rejected invalid-mst')
      const record = encodeCbor({ $type: 'app.bsky.feed.post' })
      expect(await judge(tampered({ data: cidForCbor(record) }, [record]))).toBe(
        'rejected invalid-mst',
      )
      expect(await judge(event)).toBe('accepted')
    })

    it('tells an identity that cannot be resolved from a bad signature', async () => {
      const { network, judge, account } = await setup(policy)
      const event = await firstCommit(network, account)
      network.accounts.splice(0, 1)
      expect(await judge(event)).toBe('rejected unresolvable-identity')
      network.accounts.push(account)
      expect(await judge(event)).toBe('accepted')
    })

    it('accepts a host only for the accounts that live there', async () => {
      const { network, verifier, account } = await setup(policy)
      const event = await firstCommit(network, account)
      const wrong = await verifier.verify(event, { host: 'elsewhere.test' })
      expect(nameOf(wrong)).toBe('rejected wrong-host')
      expect(nameOf(await verifier.verify(event, { host: account.host.hostname }))).toBe('accepted')
    })

    it('verifies again after a crash what was verified and not settled', async () => {
      const { network, verifier, account, identity, chain } = await setup(policy)
      const first = await firstCommit(network, account)
      const second = await network.write(account)
      const a = await verifier.verify(first)
      const b = await verifier.verify(second)
      expect([nameOf(a), nameOf(b)]).toEqual(['accepted', 'accepted'])
      if (a.status === 'accepted') await verifier.settle(a.verified)
      const after = createEventVerifier({ identity, chain, policy, now: network.now })
      expect(nameOf(await after.verify(first))).toBe('rejected stale-rev')
      expect(nameOf(await after.verify(second))).toBe('accepted')
    })

    it('judges by what was verified last, whatever was settled of it', async () => {
      const { network, verifier, account } = await setup(policy)
      const first = await verifier.verify(await firstCommit(network, account))
      const second = await verifier.verify(await network.write(account))
      expect([nameOf(first), nameOf(second)]).toEqual(['accepted', 'accepted'])
      if (first.status === 'accepted') await verifier.settle(first.verified)
      expect(nameOf(await verifier.verify(await network.write(account)))).toBe('accepted')
    })

    it('rejects commits of an account that is inactive, until it is active again', async () => {
      const { network, judge, account, verifier, identity, chain } = await setup(policy)
      await judge(await firstCommit(network, account))
      const event = await network.write(account)
      const handled = verifier.setActive(account.did, false)
      expect(await judge(event)).toBe('rejected inactive-account')
      const restarted = () => createEventVerifier({ identity, chain, policy, now: network.now })
      // Until the `#account` was handled, a restart begins before it.
      expect(nameOf(await restarted().verify(event))).toBe('accepted')
      await handled()
      expect(await judge(event)).toBe('rejected inactive-account')
      expect(nameOf(await restarted().verify(event))).toBe('rejected inactive-account')
      expect(await judge(await firstCommit(network, network.accounts[1]!))).toBe('accepted')
      await verifier.setActive(account.did, true)()
      expect(await judge(event)).toBe('accepted')
    })

    it('takes an empty commit over the same tree', async () => {
      const { network, judge, account } = await setup(policy)
      await judge(await firstCommit(network, account))
      await judge(await network.write(account))
      const commit = await account.repo.resign()
      expect(await judge({ ...network.commitEvent(commit), ops: [] })).toBe('accepted')
      expect(await judge(await network.write(account))).toBe('accepted')
    })
  },
)

describe('what does not follow', () => {
  it('is followed by a relay at once, settled or not', async () => {
    const { network, judge, verifier, account } = await setup('relay')
    await judge(await firstCommit(network, account))
    await network.write(account)
    const outcomes = [
      await verifier.verify(await network.write(account)),
      await verifier.verify(await network.write(account)),
    ]
    expect(outcomes.map(nameOf)).toEqual(['discontinuous since-mismatch', 'accepted'])
  })

  it.each([
    ['relay', ['accepted', 'discontinuous since-mismatch', 'accepted']],
    ['unchained', ['accepted', 'accepted', 'accepted']],
    ['consumer', ['accepted', 'discontinuous since-mismatch', 'discontinuous since-mismatch']],
  ] as const)('a lost commit, for a %s', async (policy, expected) => {
    const { network, judge, account } = await setup(policy)
    const outcomes = [await judge(await firstCommit(network, account))]
    await network.write(account)
    outcomes.push(await judge(await network.write(account)))
    outcomes.push(await judge(await network.write(account)))
    expect(outcomes).toEqual(expected)
  })

  it.each([
    ['relay', ['discontinuous since-mismatch', 'rejected stale-rev', 'accepted']],
    ['unchained', ['accepted', 'rejected stale-rev', 'accepted']],
    ['consumer', ['discontinuous since-mismatch', 'accepted', 'discontinuous since-mismatch']],
  ] as const)('two commits in the wrong order, for a %s', async (policy, expected) => {
    const { network, judge, account } = await setup(policy)
    await judge(await firstCommit(network, account))
    const one = await network.write(account)
    const two = await network.write(account)
    const three = await network.write(account)
    expect([await judge(two), await judge(one), await judge(three)]).toEqual(expected)
  })

  it('a repository seen for the first time in the middle', async () => {
    for (const [policy, expected] of [
      ['relay', 'accepted'],
      ['consumer', 'discontinuous unknown-repo'],
    ] as const) {
      const { network, judge, account } = await setup(policy)
      await network.write(account)
      expect(await judge(await network.write(account))).toBe(expected)
    }
  })

  it('a right since over a wrong tree', async () => {
    const { network, judge, account, verifier } = await setup('relay')
    await judge(await firstCommit(network, account))
    const one = await network.write(account)
    const fork = await network.write(account)
    const known = { rev: fork.since ?? '', data: one.commit.toString(), commit: '' }
    await verifier.adopt(account.did, known)
    expect(await judge(fork)).toBe('discontinuous prev-data-mismatch')
  })

  it('a sync over another tree; one over the same tree only moves the rev', async () => {
    for (const [policy, expected] of [
      ['relay', 'accepted'],
      ['consumer', 'discontinuous sync'],
    ] as const) {
      const { network, judge, account } = await setup(policy)
      await judge(await firstCommit(network, account))
      const same = await account.repo.resign()
      const syncOf = (commit: typeof same) => {
        const event = network.syncEvent(account, commit.rev, commit.bytes, commit.cid)
        if (event.type !== 'sync') throw new Error('a sync is a sync')
        return event
      }
      expect(await judge(syncOf(same))).toBe('accepted')
      expect(await judge(await network.write(account))).toBe('accepted')
      expect(await judge(syncOf(same))).toBe('rejected stale-rev')
      await network.write(account)
      expect(await judge(syncOf(await account.repo.resign()))).toBe(expected)
    }
  })

  it.each([
    ['relay', 'discontinuous sync', 'discontinuous prev-data-mismatch'],
    ['consumer', 'discontinuous sync', 'accepted'],
    ['unchained', 'accepted', 'accepted'],
  ] as const)(
    'a sync of the known rev confirms it, and over another tree it does not, for a %s',
    async (policy, forked, next) => {
      const { network, judge, account, verifier } = await setup(policy)
      await judge(await firstCommit(network, account))
      const commit = await network.write(account)
      expect(await judge(commit)).toBe('accepted')
      const known = await verifier.state(account.did)
      if (known === undefined) throw new Error('a commit was accepted')
      const data = parseCid(known.data)
      const syncOf = (root: Cid, key = account.key) => {
        const block = signCommit({ did: account.did, rev: known.rev, data: root }, key)
        const event = network.syncEvent(account, known.rev, block.bytes, block.cid)
        if (event.type !== 'sync') throw new Error('a sync is a sync')
        return event
      }
      // As often as it is said.
      for (let i = 0; i < 3; i++) expect(await judge(syncOf(data))).toBe('accepted')
      expect(await verifier.state(account.did)).toEqual(known)
      expect(await judge(commit)).toBe('rejected stale-rev')
      expect(await judge(syncOf(data, network.newKey()))).toBe('rejected bad-signature')
      expect(await judge(syncOf(commit.commit))).toBe(forked)
      expect(await judge(await network.write(account))).toBe(next)
    },
  )

  it('a repository that was fetched continues from what was fetched', async () => {
    const { network, judge, account, verifier } = await setup('consumer')
    await network.write(account)
    const head = await account.repo.head()
    const next = await network.write(account)
    expect(await judge(next)).toBe('discontinuous unknown-repo')
    await verifier.adopt(account.did, {
      rev: head.rev,
      data: head.data.toString(),
      commit: head.commit.toString(),
    })
    expect(await judge(next)).toBe('accepted')
  })
})

/** The account's first commit, as it was sent. */
async function firstCommit(
  network: SimulatedNetwork,
  account: SimulatedNetwork['accounts'][number],
): Promise<CommitEvent> {
  const { decodeEvent } = await import('../src/codec.ts')
  for (const entry of await account.host.log.read(0, { maxEvents: 1_000 })) {
    const event = decodeEvent(entry.frame)
    if (event.type === 'commit' && event.did === account.did) return event
  }
  throw new Error(`no commit of ${account.did} among ${String(network.accounts.length)} accounts`)
}

async function lastEvent(
  _network: SimulatedNetwork,
  account: SimulatedNetwork['accounts'][number],
) {
  const { decodeEvent } = await import('../src/codec.ts')
  const { last } = account.host.log.bounds()
  const [entry] = await account.host.log.read(last - 1)
  return decodeEvent(entry!.frame)
}

/** A commit with creates, an update and a delete. */
async function batch(
  network: SimulatedNetwork,
  account: SimulatedNetwork['accounts'][number],
): Promise<CommitEvent> {
  const collection = 'app.bsky.feed.post'
  const create = () =>
    ({
      action: 'create',
      collection,
      rkey: `batch${network.text(8)}`,
      record: network.record(collection),
    }) as const
  const [old, older] = account.paths
  const key = (path: string) => {
    const [where = '', rkey = ''] = path.split('/')
    return { collection: where, rkey }
  }
  return await network.apply(account, [
    create(),
    create(),
    ...(old === undefined
      ? []
      : [
          {
            action: 'update' as const,
            ...key(old),
            record: network.record(key(old).collection),
          },
        ]),
    ...(older === undefined ? [] : [{ action: 'delete' as const, ...key(older) }]),
  ])
}
