import { BlockMap } from '../block-map.ts'
import { checkLinkable, type Cid, cidFromKey, cidKey, type CidKey } from '../cid.ts'
import { LimitExceededError } from '../errors.ts'
import { MAX_MST_KEY_BYTES } from '../limits.ts'
import type { Block } from '../repo-store.ts'
import { buildTree } from './build.ts'
import { diffTrees } from './diff.ts'
import { getEntry, putEntry, removeEntry } from './edit.ts'
import { emptyTree, type MstNode, NodeLoader, treeCid } from './node.ts'
import { NodeEncoder } from './node-codec.ts'
import { visitCoveringProof, visitPath } from './proof.ts'
import { type KeyRange, prefixRange, rangeEntries } from './range.ts'
import { walkTree } from './walk.ts'

/** Where the nodes of a tree are. */
export type NodeBlocks = BlockMap | ((cid: Cid) => Uint8Array | undefined)

/** Options of {@link Mst.open}. */
export interface MstOptions {
  /** Whether keys must be repo paths. @defaultValue true */
  readonly paths?: boolean
}

/** Which entries to give. */
export interface MstRange extends KeyRange {
  /** Only keys that begin with this; then `from` and `to` are not looked at. */
  readonly prefix?: string | undefined
}

/** One key that differs between two trees; a side without the key is undefined. */
export interface MstDifference {
  readonly key: string
  readonly before: Cid | undefined
  readonly after: Cid | undefined
}

/**
 * A Merkle search tree, a value: `put` and `delete` give a new tree that shares what did not change.
 *
 * Nodes are read when they are needed, and checked against every rule of the tree then. A tree may be partial: what a missing
 * node would tell is unknown, and asking for it throws {@link MissingBlockError}; it is never taken for absence.
 *
 * Keys are byte strings, one character for each byte. Repo paths are ASCII and so their own byte strings.
 *
 * @see {@link https://atproto.com/specs/repository#mst-structure}
 */
export class Mst {
  private readonly node: MstNode
  private readonly loader: NodeLoader

  private constructor(node: MstNode, loader: NodeLoader) {
    this.node = node
    this.loader = loader
  }

  /** Gives the tree without entries. */
  static empty(): Mst {
    return new Mst(emptyTree(), new NodeLoader(() => undefined))
  }

  /**
   * Gives the tree with this root.
   *
   * @throws {MissingBlockError} when the root node is absent.
   * @throws {InvalidMstError} when it breaks a rule.
   */
  static open(root: Cid, blocks: NodeBlocks, options: MstOptions = {}): Mst {
    const { paths = true } = options
    const read =
      typeof blocks === 'function'
        ? (key: CidKey) => blocks(cidFromKey(key))
        : (key: CidKey) => blocks.get(cidFromKey(key))
    const loader = new NodeLoader(read, { paths })
    return new Mst(loader.loadRoot(cidKey(root)), loader)
  }

  /**
   * CID of the root node.
   *
   * @throws {LimitExceededError} when an edit made a node of more than {@link MAX_MST_NODE_ENTRIES} entries or
   * {@link MAX_MST_NODE_KEY_BYTES} bytes of keys: chosen keys can do that.
   */
  get root(): Cid {
    return cidFromKey(treeCid(this.node, new NodeEncoder(), true))
  }

  /** Gives the value of a key; undefined when the tree has none. */
  get(key: string): Cid | undefined {
    const value = getEntry(this.loader, this.node, key)
    return value === undefined ? undefined : cidFromKey(value)
  }

  /**
   * Gives the tree with `key` set to `value`.
   *
   * @throws {RangeError} when the key is empty or no byte string.
   * @throws {LimitExceededError} when the key is longer than {@link MAX_MST_KEY_BYTES}.
   * @throws {InvalidCidError} when the value is a CID of version 0 or longer than {@link MAX_CID_BYTES}.
   * @throws {MissingBlockError} when a node on the way is not at hand.
   */
  put(key: string, value: Cid): Mst {
    if (key.length === 0) throw new RangeError('key must not be empty')
    if (key.length > MAX_MST_KEY_BYTES)
      throw new LimitExceededError('mstKeyBytes', MAX_MST_KEY_BYTES, key.length)
    checkLinkable(value)
    return new Mst(putEntry(this.loader, this.node, key, cidKey(value)), this.loader)
  }

  /** Gives the tree without `key`; the same tree when it has none. */
  delete(key: string): Mst {
    const { root, value } = removeEntry(this.loader, this.node, key)
    if (value === undefined) return this
    return new Mst(typeof root === 'string' ? this.loader.loadRoot(root) : root, this.loader)
  }

  /** Gives entries in key order; only the nodes of the span are read. */
  *entries(range: MstRange = {}): Generator<readonly [key: string, value: Cid], void, void> {
    const { prefix, from, to } = range
    const span = prefix === undefined ? { from, to } : prefixRange(prefix)
    for (const [key, value] of rangeEntries(this.loader, this.node, span))
      yield [key, cidFromKey(value)]
  }

  /** Gives what differs from `before` to this tree, in key order; subtrees both share are not read. */
  *diff(before: Mst): Generator<MstDifference, void, void> {
    const encoder = new NodeEncoder()
    treeCid(before.node, encoder, true)
    treeCid(this.node, encoder, true)
    for (const change of diffTrees(before.loader, before.node, this.loader, this.node)) {
      yield {
        key: change.key,
        before: change.before === undefined ? undefined : cidFromKey(change.before),
        after: change.after === undefined ? undefined : cidFromKey(change.after),
      }
    }
  }

  /** Gives every node, each before what is below it; the whole tree is read and checked. */
  *nodes(): Generator<Block, void, void> {
    const root = treeCid(this.node, new NodeEncoder(), true)
    const made = new Map<CidKey, Uint8Array>()
    collectMade(this.node, made)
    const found: Block[] = []
    const loader = this.loader.withBlocks(made)
    const steps = walkTree(loader, root, {
      node: (cid, bytes) => found.push({ cid: cidFromKey(cid), bytes }),
      entry: () => {},
    })
    for (const _ of steps) yield* found.splice(0)
    yield* found
  }

  /** Gives the nodes that prove the presence or absence of `key`. */
  proof(key: string): readonly Block[] {
    return this.collect((visit) => visitPath(this.loader, this.node, key, visit))
  }

  /** Gives the nodes that are enough to undo an operation on `key` in the tree after it. */
  coveringProof(key: string): readonly Block[] {
    return this.collect((visit) => visitCoveringProof(this.loader, this.node, key, visit))
  }

  private collect(walk: (visit: (node: MstNode) => void) => void): readonly Block[] {
    treeCid(this.node, new NodeEncoder(), true)
    const blocks: Block[] = []
    walk(({ cid, bytes }) => {
      if (cid !== null && bytes !== null) blocks.push({ cid: cidFromKey(cid), bytes })
    })
    return blocks
  }
}

/** Gathers the nodes that edits made and no storage has. */
function collectMade(node: MstNode, made: Map<CidKey, Uint8Array>): void {
  if (node.cid !== null && node.bytes !== null) made.set(node.cid, node.bytes)
  for (const tree of node.trees) {
    if (tree !== null && typeof tree !== 'string') collectMade(tree, made)
  }
}

/** A tree built in one go. */
export interface BuiltMst {
  readonly root: Cid
  /** Every node, each after those below it. */
  readonly nodes: BlockMap
}

/**
 * Builds a tree from entries in strictly ascending key order: much faster than one `put` after the other.
 *
 * @throws {RangeError} when keys are not in ascending order, doubled or empty.
 * @throws {LimitExceededError} when a key is too long or too deep, or too many of them lie in one node.
 * @throws {InvalidCidError} when a value is a CID of version 0 or longer than {@link MAX_CID_BYTES}.
 */
export function buildMst(entries: Iterable<readonly [key: string, value: Cid]>): BuiltMst {
  const nodes = new Map<CidKey, Uint8Array>()
  const root = buildTree(keyed(entries), (cid, bytes) => nodes.set(cid, bytes))
  return { root: cidFromKey(root), nodes: new BlockMap(nodes) }
}

function* keyed(
  entries: Iterable<readonly [key: string, value: Cid]>,
): Generator<readonly [string, CidKey], void, void> {
  for (const [key, value] of entries) {
    checkLinkable(value)
    yield [key, cidKey(value)]
  }
}
