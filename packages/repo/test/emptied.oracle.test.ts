import { MemoryBlockstore, MST } from '@atproto/repo'
import { CID } from 'multiformats/cid'
import { expect, it } from 'vitest'

import { buildMst, cidForCbor, encodeCbor, keyDepth, Mst } from '../src/index.ts'

it('forgets a deep key that was the only one, where @atproto/repo remembers its depth', async () => {
  const [deep, shallow] = ['com.example.a/im0a', 'com.example.a/1hyjb'] as const
  expect([keyDepth(deep), keyDepth(shallow)]).toEqual([1, 0])
  const value = cidForCbor(encodeCbor({}))
  const fresh = buildMst([[shallow, value]]).root.toString()
  expect(Mst.empty().put(deep, value).delete(deep).put(shallow, value).root.toString()).toBe(fresh)
  const theirs = CID.parse(value.toString()) as never
  const emptied = await (
    await (await MST.create(new MemoryBlockstore())).add(deep, theirs)
  ).delete(deep)
  const reference = await emptied.add(shallow, theirs)
  // When this fails the reference is mended, and the exception in compare-trees.ts can go.
  expect((await reference.getPointer()).toString()).not.toBe(fresh)
})
