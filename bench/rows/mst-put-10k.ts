import { MemoryBlockStore, NodeStore, NodeWrangler } from '@atcute/mst'
import { cidForRaw, Mst } from '@skywright/repo'
import { samplePaths } from '../fixtures.ts'
import { time, type Row } from '../row.ts'

const RECORDS = 10_000

export const row: Row = {
  work: 'put 10,000 records into an MST one after the other, with the root of every tree between',
  unit: 'ms',
  rivalName: '@atcute/mst',
  async measure() {
    const entries = samplePaths(RECORDS).map((path) => {
      const cid = cidForRaw(new TextEncoder().encode(path))
      return { path, cid, link: { $link: cid.toString() } }
    })
    const put = (): string => {
      let tree = Mst.empty()
      let root = ''
      for (const { path, cid } of entries) {
        tree = tree.put(path, cid)
        root = tree.root.toString()
      }
      return root
    }
    const rivalPut = async (): Promise<string> => {
      const nodes = new NodeStore(new MemoryBlockStore())
      const wrangler = new NodeWrangler(nodes)
      let root: string | null = null
      for (const { path, link } of entries) root = await wrangler.putRecord(root, path, link)
      return root ?? ''
    }
    const root = put()
    const rivalRoot = await rivalPut()
    if (root !== rivalRoot) throw new Error(`the roots differ: ${root}, ${rivalRoot}`)
    const ours = await time(put, 7)
    const rival = await time(rivalPut, 3)
    return { ours, rival, note: `same root ${root.slice(0, 16)}…` }
  },
}
