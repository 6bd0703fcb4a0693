import { CBOR_CID_PREFIX, type CidKey, formatCidKey } from '../cid.ts'
import { InvalidMstError, MissingBlockError } from '../errors.ts'
import { MAX_MST_DEPTH } from '../limits.ts'
import { isPath } from '../path.ts'
import { sha256ByteString } from '../sha256.ts'
import { keyDepth } from './depth.ts'
import { decodeNode, EMPTY_NODE_BYTES, type NodeEncoder } from './node-codec.ts'

/** CID of the empty tree. */
export const EMPTY_TREE_KEY: CidKey =
  CBOR_CID_PREFIX + sha256ByteString(Uint8Array.from(EMPTY_NODE_BYTES))

/** A subtree: absent, known by CID only, or in memory. */
export type Tree = CidKey | MstNode | null

/**
 * A node in memory. Nodes are never changed once made, apart from two caches: a subtree that was loaded replaces its CID, and
 * the CID and bytes of a new node are kept once computed.
 */
export class MstNode {
  readonly depth: number
  readonly keys: readonly string[]
  readonly values: readonly CidKey[]
  /** `trees[i]` lies before `keys[i]`, the last behind all keys. */
  readonly trees: Tree[]
  cid: CidKey | null
  bytes: Uint8Array | null
  /** Whether the node came from storage, rather than from an edit since. */
  stored: boolean

  constructor(
    depth: number,
    keys: readonly string[],
    values: readonly CidKey[],
    trees: Tree[],
    cid: CidKey | null = null,
    bytes: Uint8Array | null = null,
  ) {
    this.depth = depth
    this.keys = keys
    this.values = values
    this.trees = trees
    this.cid = cid
    this.bytes = bytes
    this.stored = cid !== null
  }

  /** Gives the index of the first key that is not below `key`. */
  indexOf(key: string): number {
    const { keys } = this
    let low = 0
    let high = keys.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((keys[middle] ?? '') < key) low = middle + 1
      else high = middle
    }
    return low
  }
}

/** Gives a new empty tree. */
export function emptyTree(): MstNode {
  const tree = new MstNode(0, [], [], [null], EMPTY_TREE_KEY, Uint8Array.from(EMPTY_NODE_BYTES))
  tree.stored = false
  return tree
}

/** Where the bytes of a node come from; undefined where the block is absent. */
export type NodeSource = (cid: CidKey) => Uint8Array | undefined

/** What {@link NodeLoader} checks beyond the node itself. */
export interface NodeLoaderOptions {
  /**
   * `full`: the depth of every key, repo path syntax, order against the neighbours. `order`: all but the depth of keys and
   * their syntax, for nodes of a store that checked them when they came in.
   *
   * @defaultValue 'full'
   */
  readonly check?: 'full' | 'order'
  /** Whether keys must be repo paths. @defaultValue true */
  readonly paths?: boolean
}

/** Loads nodes and checks them against their place in the tree. */
export class NodeLoader {
  private readonly source: NodeSource
  private readonly checkDepth: boolean
  private readonly checkPaths: boolean

  constructor(source: NodeSource, options: NodeLoaderOptions = {}) {
    const { check = 'full', paths = true } = options
    this.source = source
    this.checkDepth = check === 'full'
    this.checkPaths = check === 'full' && paths
  }

  /** Gives a loader with the same checks that looks for nodes in `blocks` first. */
  withBlocks(blocks: ReadonlyMap<CidKey, Uint8Array>): NodeLoader {
    return new NodeLoader((cid) => blocks.get(cid) ?? this.source(cid), {
      check: this.checkDepth ? 'full' : 'order',
      paths: this.checkPaths,
    })
  }

  /**
   * Loads the root of a tree.
   *
   * @throws {MissingBlockError} when its block is absent.
   * @throws {InvalidMstError} when it breaks a rule.
   */
  loadRoot(cid: CidKey): MstNode {
    const { keys, values, trees, bytes } = this.read(cid)
    const [first] = keys
    if (first === undefined) {
      if (trees[0] !== null) fail('top node without keys', cid)
      return new MstNode(0, keys, values, [...trees], cid, bytes)
    }
    const depth = keyDepth(first)
    this.checkKeys(cid, keys, depth, '', undefined)
    this.checkBottom(cid, trees, depth)
    return new MstNode(depth, keys, values, [...trees], cid, bytes)
  }

  /** Gives subtree `index` of `node` in memory; its keys must lie between `lower` and `upper` (exclusive) and the node's own. */
  child(node: MstNode, index: number, lower: string, upper: string | undefined): MstNode | null {
    const tree = node.trees[index] ?? null
    if (typeof tree !== 'string') return tree
    const { keys } = node
    const loaded = this.load(
      tree,
      node.depth - 1,
      index > 0 ? (keys[index - 1] ?? lower) : lower,
      index < keys.length ? keys[index] : upper,
    )
    node.trees[index] = loaded
    return loaded
  }

  /** Gives `tree` in memory, a subtree of `depth` between two keys. */
  open(tree: CidKey | MstNode, depth: number, lower: string, upper: string | undefined): MstNode {
    return typeof tree === 'string' ? this.load(tree, depth, lower, upper) : tree
  }

  /** Loads the node of a known place in the tree. */
  load(cid: CidKey, depth: number, lower: string, upper: string | undefined): MstNode {
    if (depth < 0) fail('node below depth zero', cid)
    const { keys, values, trees, bytes } = this.read(cid)
    if (keys.length === 0 && trees[0] === null) fail('empty node inside a tree', cid)
    this.checkKeys(cid, keys, depth, lower, upper)
    this.checkBottom(cid, trees, depth)
    return new MstNode(depth, keys, values, trees, cid, bytes)
  }

  private read(cid: CidKey): {
    readonly keys: readonly string[]
    readonly values: readonly CidKey[]
    readonly trees: (CidKey | null)[]
    readonly bytes: Uint8Array
  } {
    const bytes = this.source(cid)
    if (bytes === undefined) throw new MissingBlockError(formatCidKey(cid))
    try {
      const { keys, values, trees } = decodeNode(bytes)
      return { keys, values, trees, bytes }
    } catch (cause) {
      if (cause instanceof InvalidMstError && cause.cid === undefined) {
        throw new InvalidMstError(cause.reason, formatCidKey(cid), { cause })
      }
      throw cause
    }
  }

  private checkKeys(
    cid: CidKey,
    keys: readonly string[],
    depth: number,
    lower: string,
    upper: string | undefined,
  ): void {
    const first = keys[0]
    if (first === undefined) return
    if (depth > MAX_MST_DEPTH) fail('tree too deep', cid)
    const last = keys[keys.length - 1] ?? first
    if (first <= lower) fail('key not above its left neighbour', cid)
    if (upper !== undefined && last >= upper) fail('key not below its right neighbour', cid)
    if (this.checkDepth) {
      for (const key of keys) {
        if (keyDepth(key) !== depth) fail('key at the wrong depth', cid)
        if (this.checkPaths && !isPath(key)) fail('key is no repo path', cid)
      }
    }
  }

  private checkBottom(cid: CidKey, trees: readonly Tree[], depth: number): void {
    if (depth > 0) return
    for (const tree of trees) {
      if (tree !== null) fail('subtree below depth zero', cid)
    }
  }
}

function fail(reason: string, cid: CidKey): never {
  throw new InvalidMstError(reason, formatCidKey(cid))
}

/** Gives the CID of a tree, computing those of new nodes; their bytes are kept when `keepBytes` says so. */
export function treeCid(tree: CidKey | MstNode, encoder: NodeEncoder, keepBytes: boolean): CidKey {
  if (typeof tree === 'string') return tree
  if (tree.cid !== null && (!keepBytes || tree.bytes !== null)) return tree.cid
  const trees = tree.trees.map((child) =>
    child === null ? null : treeCid(child, encoder, keepBytes),
  )
  if (keepBytes) {
    const { cid, bytes } = encoder.encode(tree.keys, tree.values, trees)
    tree.cid = cid
    tree.bytes = bytes
    return cid
  }
  tree.cid = encoder.encodeCid(tree.keys, tree.values, trees)
  return tree.cid
}
