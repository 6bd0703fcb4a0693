import { BlockMap, MemoryBlockstore, MST } from '@atproto/repo'
import { buildMst, cidForRaw } from '@skywright/repo'
import { samplePaths } from '../fixtures.ts'
import { time, type Row } from '../row.ts'

const RECORDS = 100_000

export const row: Row = {
  work: 'build the MST of 100,000 records given in no order, every node encoded and hashed',
  unit: 'ms',
  rivalName: '@atproto/repo',
  async measure() {
    const entries = samplePaths(RECORDS).map(
      (path) => [path, cidForRaw(new TextEncoder().encode(path))] as const,
    )
    const build = (): string => {
      const sorted = [...entries].sort(([a], [b]) => (a < b ? -1 : 1))
      return buildMst(sorted).root.toString()
    }
    const root = build()
    const rivalRoot = await buildRival(entries)
    if (root !== rivalRoot) throw new Error(`the roots differ: ${root}, ${rivalRoot}`)
    const ours = await time(build, 7)
    const rival = await time(() => buildRival(entries), 3)
    return { ours, rival, note: `same root ${root.slice(0, 16)}…` }
  },
}

async function buildRival(
  entries: readonly (readonly [string, ReturnType<typeof cidForRaw>])[],
): Promise<string> {
  let tree = await MST.create(new MemoryBlockstore(new BlockMap()))
  // Its CID class is of another version of the same library.
  for (const [path, cid] of entries) tree = await tree.add(path, cid as never)
  const { root } = await tree.getUnstoredBlocks()
  return root.toString()
}
