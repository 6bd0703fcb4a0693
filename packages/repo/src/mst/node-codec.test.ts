import { describe, expect, it } from 'vitest'
import { cidForRaw, cidKey } from '../cid.ts'
import { decodeNode, NodeEncoder } from './node-codec.ts'

describe('NodeEncoder', () => {
  it('encodes a node that outgrows its first buffer', () => {
    const keys = Array.from(
      { length: 60 },
      (_, i) => `app.bsky.feed.post/3kaaaaaaaaa${String(i).padStart(2, '0')}`,
    )
    const values = keys.map((key) => cidKey(cidForRaw(new TextEncoder().encode(key))))
    const trees = [null, ...values.map(() => null)]
    const small = new NodeEncoder(64).encode(keys, values, trees)
    const large = new NodeEncoder(100_000).encode(keys, values, trees)
    expect(small.cid).toBe(large.cid)
    expect(small.bytes).toEqual(large.bytes)
    expect(decodeNode(small.bytes)).toEqual({ keys, values, trees })
  })
})
