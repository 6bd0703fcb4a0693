import { describe, expect, it } from 'vitest'

import {
  type Cid,
  BlockMap,
  cidForCbor,
  encodeCbor,
  keyDepth,
  Mst,
  parseCid,
} from '../src/index.ts'
import { commonPrefixLength } from '../src/mst/common-prefix.ts'
import { invertOps, type KeyedOp } from '../src/mst/invert.ts'
import { NodeEncoder } from '../src/mst/node-codec.ts'
import { NodeLoader, treeCid } from '../src/mst/node.ts'
import { cidFromKey, cidKey } from '../src/cid.ts'
import { toByteString } from '../src/byte-string.ts'
import { hasFixtures, readJsonFixture, readTextFixture } from './fixtures.ts'

const encoder = new TextEncoder()

describe.skipIf(!hasFixtures)('the shared MST vectors', () => {
  it('gives the depth of every key', () => {
    const vectors = readJsonFixture('interop/mst/key_heights.json') as {
      key: string
      height: number
    }[]
    expect(vectors.length).toBe(9)
    for (const { key, height } of vectors) expect([key, keyDepth(key)]).toEqual([key, height])
  })

  it('gives every common prefix', () => {
    const vectors = readJsonFixture('interop/mst/common_prefix.json') as {
      left: string
      right: string
      len: number
    }[]
    expect(vectors.length).toBe(13)
    for (const { left, right, len } of vectors) {
      const prefix = commonPrefixLength(
        toByteString(encoder.encode(left)),
        toByteString(encoder.encode(right)),
      )
      expect([left, right, prefix]).toEqual([left, right, len])
    }
  })

  it('builds a tree of the example keys', () => {
    const keys = readTextFixture('interop/mst/example_keys.txt').trim().split('\n')
    expect(keys.length).toBe(156)
    const value = cidForCbor(encodeCbor({}))
    let tree = Mst.empty()
    for (const key of keys) tree = tree.put(key, value)
    expect([...tree.entries()].map(([key]) => key)).toEqual(keys.toSorted())
  })
})

interface ProofCase {
  readonly comment: string
  readonly leafValue: string
  readonly keys: readonly string[]
  readonly adds: readonly string[]
  readonly dels: readonly string[]
  readonly rootBeforeCommit: string
  readonly rootAfterCommit: string
  readonly blocksInProof: readonly string[]
}

describe.skipIf(!hasFixtures)('the shared commit proof cases', () => {
  const cases = hasFixtures
    ? (readJsonFixture('interop/firehose/commit-proof-fixtures.json') as ProofCase[])
    : []

  it('are six', () => expect(cases.length).toBe(6))

  it.each(cases)('covers and inverts: $comment', (proof) => {
    const value = parseCid(proof.leafValue)
    let before = Mst.empty()
    for (const key of proof.keys) before = before.put(key, value)
    expect(before.root.toString()).toBe(proof.rootBeforeCommit)
    let after = before
    for (const key of proof.adds) after = after.put(key, value)
    for (const key of proof.dels) after = after.delete(key)
    expect(after.root.toString()).toBe(proof.rootAfterCommit)
    const blocks = new BlockMap()
    for (const key of [...proof.adds, ...proof.dels]) {
      for (const { cid, bytes } of after.coveringProof(key)) blocks.set(cid, bytes)
    }
    const included = [...blocks].map(({ cid }) => cid.toString())
    expect(included).toEqual(expect.arrayContaining([...proof.blocksInProof]))

    const invert = (available: BlockMap): Cid => {
      const loader = new NodeLoader((key) => available.get(cidFromKey(key)), { paths: false })
      const ops: KeyedOp[] = [
        ...proof.adds.map((path) => ({
          action: 'create' as const,
          path,
          cid: cidKey(value),
          prev: null,
        })),
        ...proof.dels.map((path) => ({
          action: 'delete' as const,
          path,
          cid: null,
          prev: cidKey(value),
        })),
      ]
      const root = invertOps(loader, loader.loadRoot(cidKey(after.root)), ops)
      return cidFromKey(treeCid(root, new NodeEncoder(), false))
    }
    expect(invert(blocks).toString()).toBe(proof.rootBeforeCommit)
    // The minimal set of the vector is enough as well.
    const minimal = new BlockMap()
    for (const { cid, bytes } of blocks) {
      if (proof.blocksInProof.includes(cid.toString())) minimal.set(cid, bytes)
    }
    expect(minimal.size).toBe(proof.blocksInProof.length)
    expect(invert(minimal).toString()).toBe(proof.rootBeforeCommit)
  })
})
