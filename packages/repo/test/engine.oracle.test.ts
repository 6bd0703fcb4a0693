import { Secp256k1Keypair } from '@atproto/crypto'
import { type RecordCidClaim, verifyProofs, verifyRepoCar } from '@atproto/repo'
import { describe, expect, it } from 'vitest'

import { createMemoryRepoStore, Repo, type RepoWrite, verifyRepo } from '../src/index.ts'
import { compareWithAtcute } from './support/compare-with-atcute.ts'

const did = 'did:web:alice.example.com'
const collection = 'com.example.note'

async function gather(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  for await (const chunk of chunks) parts.push(chunk)
  return new Uint8Array(Buffer.concat(parts))
}

describe('the reference', () => {
  it('accepts what we sign, export and prove, and we what its keys sign', async () => {
    const keypair = await Secp256k1Keypair.create()
    const { repo } = await Repo.create(createMemoryRepoStore(), {
      did,
      signer: { sign: async (bytes) => keypair.sign(bytes) },
    })
    for (let round = 0; round < 5; round++) {
      const writes = Array.from({ length: 50 }, (_, n): RepoWrite => {
        const rkey = `k${round * 50 + n}`
        return {
          action: 'create',
          collection,
          rkey,
          record: { $type: collection, rkey, list: [1, null, true] },
        }
      })
      await repo.applyWrites(writes)
    }
    const theirs = await verifyRepoCar(await gather(repo.export()), did, keypair.did())
    const ours = await verifyRepo(repo.export(), { did })
    expect(theirs.creates.length).toBe(250)
    expect(theirs.commit.rev).toBe(ours.rev)
    expect(theirs.commit.cid.toString()).toBe(ours.cid.toString())
    expect(theirs.creates.map(({ rkey, cid }) => `${rkey} ${cid.toString()}`).toSorted()).toEqual(
      [...ours.records()]
        .map(({ path, cid }) => `${path.split('/')[1]} ${cid.toString()}`)
        .toSorted(),
    )

    const present = await repo.get(collection, 'k7')
    const claims = [
      [collection, 'k7', present?.cid ?? null],
      [collection, 'nothing', null],
    ] as const
    for (const [name, rkey, cid] of claims) {
      // Its CID class is of another copy of the same library.
      const claim = { collection: name, rkey, cid } as unknown as RecordCidClaim
      const { verified, unverified } = await verifyProofs(
        await repo.proof(name, rkey),
        [claim],
        did,
        keypair.did(),
      )
      expect([rkey, verified.length, unverified.length]).toEqual([rkey, 1, 0])
    }
  })
})

describe('@atcute/mst', () => {
  it('comes to the same roots and diffs over 60 random trees', async () => {
    expect(await compareWithAtcute(60, 41)).toBeGreaterThan(1500)
  })
})
