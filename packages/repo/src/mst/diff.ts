import type { CidKey } from '../cid.ts'
import { type MstNode, type NodeLoader } from './node.ts'

/** One key that differs between two trees; a side without the key is undefined. */
export interface KeyDifference {
  readonly key: string
  readonly before: CidKey | undefined
  readonly after: CidKey | undefined
}

/** A place in a walk of one tree: before an entry or before a subtree. */
interface Place {
  readonly node: MstNode
  /** Even: subtree `index / 2`. Odd: entry `(index - 1) / 2`. */
  index: number
  readonly lower: string
  readonly upper: string | undefined
}

/** Walks a tree in key order with the choice to step over a subtree. */
class TreeCursor {
  private readonly loader: NodeLoader
  private readonly stack: Place[] = []

  constructor(loader: NodeLoader, root: MstNode) {
    this.loader = loader
    this.stack.push({ node: root, index: 0, lower: '', upper: undefined })
    this.settle()
  }

  /** CID of the subtree ahead; undefined when an entry is ahead or nothing. */
  get subtree(): CidKey | MstNode | undefined {
    const place = this.stack.at(-1)
    if (place === undefined || place.index % 2 !== 0) return undefined
    return place.node.trees[place.index / 2] ?? undefined
  }

  /** Depth of what is ahead; -1 at the end. */
  get depth(): number {
    const place = this.stack.at(-1)
    if (place === undefined) return -1
    return place.index % 2 === 0 ? place.node.depth - 1 : place.node.depth
  }

  /** Key of the entry ahead; undefined when a subtree is ahead or nothing. */
  get key(): string | undefined {
    const place = this.stack.at(-1)
    return place === undefined || place.index % 2 === 0
      ? undefined
      : place.node.keys[(place.index - 1) / 2]
  }

  get value(): CidKey | undefined {
    const place = this.stack.at(-1)
    return place === undefined || place.index % 2 === 0
      ? undefined
      : place.node.values[(place.index - 1) / 2]
  }

  get done(): boolean {
    return this.stack.length === 0
  }

  /** Steps over the entry or the whole subtree ahead. */
  skip(): void {
    const place = this.stack.at(-1)
    if (place === undefined) return
    place.index++
    this.settle()
  }

  /** Steps into the subtree ahead. */
  enter(): void {
    const place = this.stack.at(-1)
    if (place === undefined) return
    const { node, index } = place
    const slot = index / 2
    const child = this.loader.child(node, slot, place.lower, place.upper)
    place.index++
    if (child !== null) {
      this.stack.push({
        node: child,
        index: 0,
        lower: slot > 0 ? (node.keys[slot - 1] ?? place.lower) : place.lower,
        upper: slot < node.keys.length ? node.keys[slot] : place.upper,
      })
    }
    this.settle()
  }

  /** Moves past empty slots and the ends of nodes. */
  private settle(): void {
    for (let place = this.stack.at(-1); place !== undefined; place = this.stack.at(-1)) {
      const { node, index } = place
      if (index > node.keys.length * 2) this.stack.pop()
      else if (index % 2 === 0 && (node.trees[index / 2] ?? null) === null) place.index++
      else return
    }
  }
}

function cidOf(tree: CidKey | MstNode): CidKey | null {
  return typeof tree === 'string' ? tree : tree.cid
}

/**
 * Gives what differs between two trees, in key order. Subtrees with the same CID on both sides are stepped over unread.
 *
 * @throws {MissingBlockError} when a node is not at hand on a side where the trees differ.
 */
export function* diffTrees(
  beforeLoader: NodeLoader,
  before: MstNode,
  afterLoader: NodeLoader,
  after: MstNode,
): Generator<KeyDifference, void, void> {
  if (before.cid !== null && before.cid === after.cid) return
  const a = new TreeCursor(beforeLoader, before)
  const b = new TreeCursor(afterLoader, after)
  while (!a.done || !b.done) {
    const left = a.subtree
    const right = b.subtree
    if (left !== undefined && right !== undefined) {
      const cid = cidOf(left)
      if (a.depth === b.depth && cid !== null && cid === cidOf(right)) {
        a.skip()
        b.skip()
      } else if (a.depth >= b.depth) a.enter()
      else b.enter()
    } else if (left !== undefined) {
      a.enter()
    } else if (right !== undefined) {
      b.enter()
    } else {
      yield* compareEntries(a, b)
    }
  }
}

function* compareEntries(a: TreeCursor, b: TreeCursor): Generator<KeyDifference, void, void> {
  const { key: left, value: before } = a
  const { key: right, value: after } = b
  if (left !== undefined && (right === undefined || left < right)) {
    yield { key: left, before, after: undefined }
    a.skip()
  } else if (right !== undefined && (left === undefined || right < left)) {
    yield { key: right, before: undefined, after }
    b.skip()
  } else if (left !== undefined) {
    if (before !== after) yield { key: left, before, after }
    a.skip()
    b.skip()
  }
}
