import { afterAll, describe, expect, it } from 'vitest'
import { decodeEvent } from '../src/codec.ts'
import { commitLies, SimulatedNetwork } from '../src/testing/index.ts'
import { createMemoryChainStore } from '../src/verify/chain-store.ts'
import { createEventVerifier } from '../src/verify/verifier.ts'
import { createProverPool } from '../src/workers/index.ts'

const pool = createProverPool({ workers: 2 })
afterAll(async () => {
  await pool[Symbol.asyncDispose]()
})

describe('createProverPool', () => {
  it('finds what the calling thread finds, truth and lies', async () => {
    const network = await SimulatedNetwork.create({ accounts: 5, seed: 8 })
    const verifiers = [undefined, pool.prove].map((prove) =>
      createEventVerifier({
        identity: network.identitySource(),
        chain: createMemoryChainStore(),
        policy: 'relay',
        now: network.now,
        prove,
      }),
    )
    const seen = new Set<string>()
    for (let i = 0; i < 120; i++) {
      const account = network.random.pick(network.accounts)
      const event = await network.write(account)
      const lie = commitLies[i % commitLies.length]!.tell(event, { network, account })
      for (const one of lie === undefined ? [event] : [lie, event]) {
        const [here, there] = await Promise.all(
          verifiers.map(async (verifier) => {
            const outcome = await verifier.verify(one)
            if (outcome.status === 'rejected') return { ...outcome, error: undefined }
            await verifier.settle(outcome.verified)
            const { records, ...rest } = outcome.verified
            return { ...outcome, verified: { ...rest, records: [...records] } }
          }),
        )
        expect(there).toEqual(here)
        seen.add(here?.status === 'rejected' ? here.reason : (here?.status ?? ''))
      }
    }
    expect(seen.size).toBeGreaterThan(15)
  })

  it('proves many at once, each with its own records', async () => {
    const network = await SimulatedNetwork.create({ accounts: 20, seed: 9 })
    for (let i = 0; i < 200; i++) await network.step()
    const identity = network.identitySource()
    const [host] = network.hosts
    const entries = await host!.log.read(0, { maxEvents: 10_000, maxBytes: 1e9 })
    let proven = 0
    await Promise.all(
      entries.map(async ({ frame }) => {
        const event = decodeEvent(frame)
        if (event.type !== 'commit') return
        const { signingKey } = await identity.resolve(event.did, { refresh: false })
        const { records } = await pool.prove(event, signingKey!, frame)
        for (const op of event.ops) expect(records.has(op.path)).toBe(op.cid !== null)
        proven++
      }),
    )
    expect(proven).toBeGreaterThan(200)
  })

  it('uses a key it cannot name on the calling thread', async () => {
    const network = await SimulatedNetwork.create({ accounts: 1, seed: 9 })
    const account = network.accounts[0]!
    const event = await network.write(account)
    const verify = (bytes: Uint8Array, signature: Uint8Array) =>
      account.key.publicKey.verify(bytes, signature)
    expect(pool.prove(event, { verify }, undefined)).not.toBeInstanceOf(Promise)
  })
})
