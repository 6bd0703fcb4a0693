import { describe, expect, it } from 'vitest'

import {
  BlockMap,
  checkCbor,
  cidForCbor,
  decodeCbor,
  encodeCar,
  encodeCbor,
  InvalidMstError,
  keyDepth,
  LimitExceededError,
  Mst,
  RepoError,
  verifyRepoSync,
} from '../src/index.ts'
import { cidFromKey, cidKey } from '../src/cid.ts'
import { NodeEncoder } from '../src/mst/node-codec.ts'
import { createTestKey } from '../src/testing/index.ts'
import { RawTree } from '../src/testing/raw-tree.ts'

const did = 'did:web:mallory.example.com'
const key = createTestKey()
const value = cidForCbor(encodeCbor({ $type: 'com.example.note' }))

/** Milliseconds a piece of work takes, and the memory it leaves reachable or not yet collected. */
function measure(work: () => void): { readonly ms: number; readonly bytes: number } {
  const before = process.memoryUsage().heapUsed
  const started = performance.now()
  work()
  return { ms: performance.now() - started, bytes: process.memoryUsage().heapUsed - before }
}

function refused(work: () => unknown): void {
  expect(work).toThrow(RepoError)
}

/** Gives a path of a depth. */
function keyAt(depth: number): string {
  for (let n = 0; ; n++) {
    const candidate = `com.example.note/${depth}-${n}`
    if (keyDepth(candidate) === depth) return candidate
  }
}

describe('hostile input', () => {
  it('cannot make the decoder allocate or work beyond its size', () => {
    const bombs = [
      Uint8Array.of(0x9b, 0, 0, 0, 1, 0, 0, 0, 0),
      Uint8Array.of(0xbb, 0, 0x1f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff),
      Uint8Array.of(0x5b, 0, 0, 1, 0, 0, 0, 0, 0),
      Uint8Array.of(0x7b, 0, 0, 1, 0, 0, 0, 0, 0),
      new Uint8Array(1_000_000).fill(0x81),
      // Every level claims as many items as bytes are left.
      Uint8Array.from({ length: 500 }, (_, at) => [0x99, 0x01, 0x00][at % 3]!),
    ]
    const { ms, bytes } = measure(() => {
      for (const bomb of bombs) {
        for (let i = 0; i < 200; i++) {
          refused(() => decodeCbor(bomb))
          refused(() => checkCbor(bomb))
        }
      }
    })
    expect(ms).toBeLessThan(3000)
    expect(bytes).toBeLessThan(150e6)
  })

  it('cannot make keys grow beyond the budget of a node', () => {
    const keys = Array.from(
      { length: 300 },
      (_, n) => `${'k'.repeat(1000)}${String(n).padStart(4, '0')}`,
    )
    const entries = keys.map((at) => ({ key: at, value: cidKey(value) }))
    const tree = new RawTree()
    const cid = tree.node(entries)
    const bytes = tree.blocks.get(cid)!
    expect(bytes.length).toBeLessThan(30_000)
    const blocks = new BlockMap().set(cidFromKey(cid), bytes)
    expect(() => Mst.open(cidFromKey(cid), blocks, { paths: false })).toThrow(InvalidMstError)
  })

  it('cannot make a walk exponential with nodes that refer to one node twice', () => {
    // Each layer points twice at the one below: as many places as 2 to the depth, if nobody compares keys across nodes.
    const encoder = new NodeEncoder()
    const blocks = new BlockMap()
    let below: string | null = null
    for (let depth = 0; depth < 7; depth++) {
      const { cid, bytes } = encoder.encode([keyAt(depth)], [cidKey(value)], [below, below])
      blocks.set(cidFromKey(cid), bytes)
      below = cid
    }
    const root = cidFromKey(below!)
    const { ms } = measure(() => {
      expect(() => [...Mst.open(root, blocks).entries()]).toThrow(InvalidMstError)
    })
    expect(ms).toBeLessThan(1000)
  })

  it('cannot put a node below itself', () => {
    // A cycle needs a hash collision; a reader of unchecked blocks still ends, because depth falls with every step.
    const root = cidForCbor(encodeCbor({ any: 'cid' }))
    for (const depth of [0, 1, 3]) {
      const { bytes } = new NodeEncoder().encode(
        [keyAt(depth)],
        [cidKey(value)],
        [cidKey(root), null],
      )
      expect(() => [...Mst.open(root, () => bytes).entries()]).toThrow(InvalidMstError)
    }
  })

  it('cannot make trees deeper than the bound', () => {
    const chain = new BlockMap()
    const encoder = new NodeEncoder()
    let below: string | null = null
    for (let i = 0; i < 200; i++) {
      const { cid, bytes } = encoder.encode([], [], [below])
      if (below !== null || i === 0) chain.set(cidFromKey(cid), bytes)
      below = cid
    }
    expect(() => Mst.open(cidFromKey(below!), chain)).toThrow(InvalidMstError)
  })

  it('is not taken for a commit or a node by its looks', async () => {
    // A record that is byte for byte an MST node or a commit is a record where a record is referred to.
    const node = encodeCbor({ $type: 'com.example.note', e: [], l: null })
    const lookalike = encodeCbor({
      did,
      rev: '3kaaaaaaaaa22',
      data: value,
      prev: null,
      version: 3,
      sig: new Uint8Array(64),
    })
    let tree = Mst.empty()
    const records = [node, lookalike, encodeCbor({ e: [], l: null })]
    for (const [n, bytes] of records.entries())
      tree = tree.put(`com.example.note/${n}`, cidForCbor(bytes))
    const unsigned = { did, rev: '3kaaaaaaaaa22', data: tree.root, prev: null, version: 3 }
    const bytes = encodeCbor({ ...unsigned, sig: await key.sign(encodeCbor(unsigned)) })
    const commit = cidForCbor(bytes)
    const blocks = [
      { cid: commit, bytes },
      ...tree.nodes(),
      ...records.map((record) => ({ cid: cidForCbor(record), bytes: record })),
    ]
    const verified = verifyRepoSync(encodeCar([commit], blocks), { did, key })
    expect([...verified.records()].map((record) => record.bytes.length)).toEqual(
      records.map(({ length }) => length),
    )
  })

  it('is refused past the bounds of a CAR', () => {
    const blocks = Array.from({ length: 100 }, (_, n) => encodeCbor({ n })).map((bytes) => ({
      cid: cidForCbor(bytes),
      bytes,
    }))
    const car = encodeCar([blocks[0]!.cid], blocks)
    expect(() => verifyRepoSync(car, { maxBlocks: 99 })).toThrow(LimitExceededError)
    expect(() => verifyRepoSync(car, { maxBytes: 100 })).toThrow(LimitExceededError)
  })
})
