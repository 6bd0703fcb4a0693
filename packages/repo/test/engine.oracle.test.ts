import { Secp256k1Keypair } from '@atproto/crypto'
import { type RecordCidClaim, verifyProofs, verifyRepoCar } from '@atproto/repo'
import { MemoryBlockStore, mstDiff, NodeStore, NodeWrangler } from '@atcute/mst'
import { describe, expect, it } from 'vitest'

import {
  cidForCbor,
  createMemoryRepoStore,
  encodeCbor,
  type Cid,
  Mst,
  Repo,
  type RepoWrite,
  verifyRepo,
} from '../src/index.ts'
import { createRandom } from './random.ts'

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
    const random = createRandom(41)
    const values: readonly Cid[] = Array.from({ length: 5 }, (_, n) =>
      cidForCbor(encodeCbor({ n })),
    )
    let edits = 0
    for (let round = 0; round < 60; round++) {
      const nodes = new NodeStore(new MemoryBlockStore())
      const wrangler = new NodeWrangler(nodes)
      let theirs: string | null = null
      let ours = Mst.empty()
      const keys = new Set<string>()
      async function edit(count: number): Promise<void> {
        for (let i = 0; i < count; i++) {
          const key =
            keys.size > 0 && random.chance(0.4)
              ? random.pick([...keys])
              : `${collection}/${random.integer(0, 500_000).toString(36)}`
          edits++
          if (keys.has(key) && random.chance(0.5)) {
            keys.delete(key)
            theirs = await wrangler.deleteRecord(theirs, key)
            ours = ours.delete(key)
          } else {
            const value = random.pick(values)
            keys.add(key)
            theirs = await wrangler.putRecord(theirs, key, { $link: value.toString() })
            ours = ours.put(key, value)
          }
        }
      }
      await edit(random.integer(1, 50))
      const before = ours
      const theirBefore: string | null = theirs
      expect(ours.root.toString()).toBe(await rootOf(nodes, theirs))
      await edit(random.integer(1, 10))
      expect(ours.root.toString()).toBe(await rootOf(nodes, theirs))
      if (theirBefore === null || theirs === null) continue
      const [created, deleted] = await mstDiff(
        nodes,
        await rootOf(nodes, theirBefore),
        await rootOf(nodes, theirs),
      )
      const mine = new Set([...ours.nodes()].map(({ cid }) => cid.toString()))
      const was = new Set([...before.nodes()].map(({ cid }) => cid.toString()))
      expect([...created].toSorted()).toEqual([...mine].filter((cid) => !was.has(cid)).toSorted())
      expect([...deleted].toSorted()).toEqual([...was].filter((cid) => !mine.has(cid)).toSorted())
    }
    expect(edits).toBeGreaterThan(1500)
  })
})

async function rootOf(nodes: NodeStore, cid: string | null): Promise<string> {
  const { $link } = await (await nodes.get(cid)).cid()
  return $link
}
