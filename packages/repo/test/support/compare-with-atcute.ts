import { MemoryBlockStore, mstDiff, NodeStore, NodeWrangler } from '@atcute/mst'
import { expect } from 'vitest'

import { type Cid, cidForCbor, encodeCbor, Mst } from '../../src/index.ts'
import { createRandom } from '../random.ts'

/** Compares roots and the nodes of diffs with `@atcute/mst` over random trees; gives the number of edits. */
export async function compareWithAtcute(rounds: number, seed: number): Promise<number> {
  const random = createRandom(seed)
  const values: readonly Cid[] = Array.from({ length: 5 }, (_, n) => cidForCbor(encodeCbor({ n })))
  let edits = 0
  for (let round = 0; round < rounds; round++) {
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
            : `com.example.note/${random.integer(0, 500_000).toString(36)}`
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
  return edits
}

async function rootOf(nodes: NodeStore, cid: string | null): Promise<string> {
  const { $link } = await (await nodes.get(cid)).cid()
  return $link
}
