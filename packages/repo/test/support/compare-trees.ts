import { type BlockMap as ReferenceBlocks, MemoryBlockstore, MST } from '@atproto/repo'
import { CID } from 'multiformats/cid'
import { expect } from 'vitest'

import { buildMst, type Cid, cidForCbor, encodeCbor, Mst } from '../../src/index.ts'
import { createRandom, type Random } from '../random.ts'

const values: readonly Cid[] = Array.from({ length: 6 }, (_, n) => cidForCbor(encodeCbor({ n })))

function randomKey(random: Random): string {
  const collection = random.pick([
    'app.bsky.feed.post',
    'app.bsky.feed.like',
    'app.bsky.graph.follow',
    'com.example.a',
  ])
  return `${collection}/${random.integer(0, 3_000_000).toString(36)}`
}

/** Compares roots, walks, diffs and covering proofs with the reference over random trees; gives the number of edits. */
export async function compareTrees(rounds: number, seed: number): Promise<number> {
  const random = createRandom(seed)
  let edits = 0
  for (let round = 0; round < rounds; round++) {
    let reference = await MST.create(new MemoryBlockstore())
    let ours = Mst.empty()
    const model = new Map<string, Cid>()
    const size = random.integer(0, 60)
    for (let i = 0; i < size; i++) {
      const key = randomKey(random)
      const value = random.pick(values)
      if (model.has(key)) continue
      reference = await reference.add(key, CID.parse(value.toString()) as never)
      ours = ours.put(key, value)
      model.set(key, value)
    }
    const before = ours
    const ops = new Set<string>()
    for (let i = random.integer(1, 5); i > 0; i--) {
      const keys = [...model.keys()]
      const key = keys.length > 0 && random.chance(0.5) ? random.pick(keys) : randomKey(random)
      const value = random.pick(values)
      ops.add(key)
      edits++
      if (model.has(key) && random.chance(0.5)) {
        reference = await reference.delete(key)
        ours = ours.delete(key)
        model.delete(key)
        // Emptied, the reference keeps the depth of the key that went, and hangs a shallower next key below a node
        // without keys: its root then depends on history. Everybody else starts anew from the empty tree.
        if (model.size === 0) reference = await MST.create(new MemoryBlockstore())
      } else if (model.has(key)) {
        reference = await reference.update(key, CID.parse(value.toString()) as never)
        ours = ours.put(key, value)
        model.set(key, value)
      } else {
        reference = await reference.add(key, CID.parse(value.toString()) as never)
        ours = ours.put(key, value)
        model.set(key, value)
      }
    }
    expect(ours.root.toString()).toBe((await reference.getPointer()).toString())
    const sorted = [...model].toSorted(([a], [b]) => (a < b ? -1 : 1))
    expect(buildMst(sorted).root.toString()).toBe(ours.root.toString())
    expect([...ours.entries()].map(([key, value]) => [key, value.toString()])).toEqual(
      sorted.map(([key, value]) => [key, value.toString()]),
    )
    const old = new Map([...before.entries()].map(([key, value]) => [key, value.toString()]))
    const changed = [...ours.diff(before)].map(({ key, before: was, after }) => [
      key,
      was?.toString(),
      after?.toString(),
    ])
    const expected = [...new Set([...old.keys(), ...model.keys()])]
      .toSorted()
      .map((key) => [key, old.get(key), model.get(key)?.toString()])
      .filter(([, was, after]) => was !== after)
    expect(changed).toEqual(expected)
    for (const key of ops) {
      const proof: ReferenceBlocks = await reference.getCoveringProof(key)
      const theirs = proof.entries().map(({ cid }) => cid.toString())
      const mine = ours.coveringProof(key).map(({ cid }) => cid.toString())
      expect(mine).toEqual(expect.arrayContaining(theirs.filter((cid) => mine.includes(cid))))
      expect(mine.toSorted()).toEqual([...new Set(theirs)].toSorted())
    }
  }
  return edits
}
