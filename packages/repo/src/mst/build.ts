import type { CidKey } from '../cid.ts'
import { LimitExceededError } from '../errors.ts'
import { MAX_MST_DEPTH, MAX_MST_KEY_BYTES } from '../limits.ts'
import { keyDepth } from './depth.ts'
import { EMPTY_TREE_KEY } from './node.ts'
import { EMPTY_NODE_BYTES, NodeEncoder } from './node-codec.ts'

/** A node being filled, one for each depth. */
interface OpenNode {
  keys: string[]
  values: CidKey[]
  trees: (CidKey | null)[]
}

/**
 * Builds a tree from entries in ascending key order in one pass, holding one open node for each depth, and gives its root.
 *
 * @param emit - Receives every node once, each after those below it.
 * @throws {RangeError} when keys are not in strictly ascending order or empty.
 * @throws {LimitExceededError} when a key is too long or too deep.
 */
export function buildTree(
  entries: Iterable<readonly [key: string, value: CidKey]>,
  emit: (cid: CidKey, bytes: Uint8Array) => void = () => {},
): CidKey {
  const builder = new TreeBuilder(emit)
  for (const [key, value] of entries) builder.add(key, value)
  return builder.finish()
}

class TreeBuilder {
  private readonly encoder = new NodeEncoder(8192)
  private readonly emit: (cid: CidKey, bytes: Uint8Array) => void
  /** By depth; a node here is not closed yet. */
  private readonly open: OpenNode[] = []
  private previous = ''
  /** Depth of the highest key so far. */
  private top = -1

  constructor(emit: (cid: CidKey, bytes: Uint8Array) => void) {
    this.emit = emit
  }

  add(key: string, value: CidKey): void {
    if (key <= this.previous)
      throw new RangeError('keys must be unique, not empty and in ascending order')
    if (key.length > MAX_MST_KEY_BYTES)
      throw new LimitExceededError('mstKeyBytes', MAX_MST_KEY_BYTES, key.length)
    this.previous = key
    const depth = keyDepth(key)
    if (depth > MAX_MST_DEPTH) throw new LimitExceededError('mstDepth', MAX_MST_DEPTH, depth)
    while (this.open.length <= depth) this.open.push({ keys: [], values: [], trees: [null] })
    // Everything below lies between the key before and this one: it is complete.
    const below = this.closeBelow(depth)
    const node = this.open[depth]
    if (node === undefined) throw new RangeError('depth not open')
    if (below !== null) node.trees[node.keys.length] = below
    node.keys.push(key)
    node.values.push(value)
    node.trees.push(null)
    if (depth > this.top) this.top = depth
  }

  finish(): CidKey {
    if (this.top < 0) {
      this.emit(EMPTY_TREE_KEY, Uint8Array.from(EMPTY_NODE_BYTES))
      return EMPTY_TREE_KEY
    }
    return this.closeBelow(this.top + 1) ?? EMPTY_TREE_KEY
  }

  /** Closes the open nodes of depths below `depth` into one subtree of depth `depth - 1`; null when there is nothing. */
  private closeBelow(depth: number): CidKey | null {
    let below: CidKey | null = null
    for (let at = 0; at < depth; at++) {
      const node = this.open[at]
      if (node === undefined) continue
      if (below !== null) node.trees[node.keys.length] = below
      if (node.keys.length === 0 && node.trees[0] === null) {
        below = null
        continue
      }
      const { cid, bytes } = this.encoder.encode(node.keys, node.values, node.trees)
      this.emit(cid, bytes)
      below = cid
      node.keys = []
      node.values = []
      node.trees = [null]
    }
    return below
  }
}
