import type { CidKey } from '../cid.ts'
import { InvalidMstError, MissingBlockError } from '../errors.ts'
import { keyDepth } from './depth.ts'
import { emptyTree, MstNode, type NodeLoader, type Tree } from './node.ts'

/**
 * Gives the value of a key; undefined when the tree proves that it is absent.
 *
 * @throws {MissingBlockError} when the search path leaves the blocks at hand: presence is unknown.
 */
export function getEntry(loader: NodeLoader, root: MstNode, key: string): CidKey | undefined {
  let node: MstNode | null = root
  let lower = ''
  let upper: string | undefined
  while (node !== null) {
    const index = node.indexOf(key)
    if (node.keys[index] === key) return node.values[index]
    const child: MstNode | null = loader.child(node, index, lower, upper)
    if (index > 0) lower = node.keys[index - 1] ?? lower
    if (index < node.keys.length) upper = node.keys[index]
    node = child
  }
  return undefined
}

/** Gives the tree with `key` set to `value`; `root` stays as it is. */
export function putEntry(loader: NodeLoader, root: MstNode, key: string, value: CidKey): MstNode {
  const depth = keyDepth(key)
  if (root.keys.length === 0 && root.trees[0] === null) {
    return new MstNode(depth, [key], [value], [null, null])
  }
  if (depth <= root.depth) return putInto(loader, root, key, value, depth, '', undefined)
  const [left, right] = splitTree(loader, root, root.depth, key, '', undefined)
  return new MstNode(
    depth,
    [key],
    [value],
    [lift(left, root.depth, depth - 1), lift(right, root.depth, depth - 1)],
  )
}

/** Wraps a tree of depth `from` in nodes that only point, up to depth `to`. */
function lift(tree: Tree, from: number, to: number): Tree {
  if (tree === null) return null
  let lifted = tree
  for (let depth = from + 1; depth <= to; depth++) lifted = new MstNode(depth, [], [], [lifted])
  return lifted
}

function putInto(
  loader: NodeLoader,
  node: MstNode,
  key: string,
  value: CidKey,
  depth: number,
  lower: string,
  upper: string | undefined,
): MstNode {
  const index = node.indexOf(key)
  const before = index > 0 ? (node.keys[index - 1] ?? lower) : lower
  const behind = index < node.keys.length ? node.keys[index] : upper
  if (depth < node.depth) {
    const tree = loader.child(node, index, lower, upper)
    const child =
      tree === null
        ? newBranch(key, value, depth, node.depth - 1)
        : putInto(loader, tree, key, value, depth, before, behind)
    return withTree(node, index, child)
  }
  if (node.keys[index] === key) {
    return new MstNode(node.depth, node.keys, node.values.with(index, value), node.trees.slice())
  }
  const [left, right] = splitTree(
    loader,
    node.trees[index] ?? null,
    node.depth - 1,
    key,
    before,
    behind,
  )
  return new MstNode(
    node.depth,
    node.keys.toSpliced(index, 0, key),
    node.values.toSpliced(index, 0, value),
    node.trees.toSpliced(index, 1, left, right),
  )
}

/** Gives a tree of depth `top` that holds one key of depth `depth`. */
function newBranch(key: string, value: CidKey, depth: number, top: number): MstNode {
  let node = new MstNode(depth, [key], [value], [null, null])
  for (let at = depth + 1; at <= top; at++) node = new MstNode(at, [], [], [node])
  return node
}

function withTree(node: MstNode, index: number, tree: Tree): MstNode {
  return new MstNode(node.depth, node.keys, node.values, node.trees.with(index, tree))
}

/** Gives what of a tree lies before and behind a key it does not hold. */
function splitTree(
  loader: NodeLoader,
  tree: Tree,
  depth: number,
  key: string,
  lower: string,
  upper: string | undefined,
): readonly [Tree, Tree] {
  if (tree === null) return [null, null]
  const node = loader.open(tree, depth, lower, upper)
  const { keys, values, trees } = node
  const index = node.indexOf(key)
  if (keys[index] === key) throw new InvalidMstError('key at the wrong depth')
  const middle = trees[index] ?? null
  const [left, right] = splitTree(
    loader,
    middle,
    depth - 1,
    key,
    index > 0 ? (keys[index - 1] ?? lower) : lower,
    index < keys.length ? keys[index] : upper,
  )
  // Where nothing lies on one side, the node is reused whole and keeps its CID.
  if (index === keys.length && right === null) return [node, null]
  if (index === 0 && left === null) return [null, node]
  return [
    part(depth, keys.slice(0, index), values.slice(0, index), [...trees.slice(0, index), left]),
    part(depth, keys.slice(index), values.slice(index), [right, ...trees.slice(index + 1)]),
  ]
}

function part(
  depth: number,
  keys: readonly string[],
  values: readonly CidKey[],
  trees: Tree[],
): Tree {
  if (keys.length === 0 && (trees[0] ?? null) === null) return null
  return new MstNode(depth, keys, values, trees)
}

/** A tree whose key was removed: what is left, which may be a subtree never loaded. */
export interface Removed {
  /** The new top of the tree, trimmed as far as it is loaded or can be. */
  readonly root: MstNode | CidKey
  /** The value the key had; undefined when the tree does not hold it. */
  readonly value: CidKey | undefined
}

/** Removes a key; `root` stays as it is. */
export function removeEntry(loader: NodeLoader, root: MstNode, key: string): Removed {
  const value = getEntry(loader, root, key)
  if (value === undefined) return { root, value }
  const rest = removeFrom(loader, root, key, '', undefined)
  return { root: rest === null ? emptyTree() : trimTop(loader, rest), value }
}

/** Takes away top nodes that only point. A top that is not at hand stays a CID. */
function trimTop(loader: NodeLoader, node: MstNode): MstNode | CidKey {
  let top = node
  while (top.keys.length === 0) {
    try {
      const below = loader.child(top, 0, '', undefined)
      if (below === null) return emptyTree()
      top = below
    } catch (error) {
      const stub = top.trees[0]
      if (error instanceof MissingBlockError && typeof stub === 'string') return stub
      throw error
    }
  }
  return top
}

function removeFrom(
  loader: NodeLoader,
  node: MstNode,
  key: string,
  lower: string,
  upper: string | undefined,
): MstNode | null {
  const index = node.indexOf(key)
  const before = index > 0 ? (node.keys[index - 1] ?? lower) : lower
  let trees: Tree[]
  let { keys, values } = node
  if (keys[index] === key) {
    const behind = index + 1 < keys.length ? keys[index + 1] : upper
    const merged = mergeTrees(
      loader,
      node.trees[index] ?? null,
      node.trees[index + 1] ?? null,
      node.depth - 1,
      before,
      key,
      behind,
    )
    keys = keys.toSpliced(index, 1)
    values = values.toSpliced(index, 1)
    trees = node.trees.toSpliced(index, 2, merged)
  } else {
    const child = loader.child(node, index, lower, upper)
    if (child === null) throw new InvalidMstError('key to remove is absent')
    const behind = index < keys.length ? keys[index] : upper
    trees = node.trees.with(index, removeFrom(loader, child, key, before, behind))
  }
  if (keys.length === 0 && (trees[0] ?? null) === null) return null
  return new MstNode(node.depth, keys, values, trees)
}

/** Joins two neighbouring trees of one depth, `middle` being a key between them that is gone. */
function mergeTrees(
  loader: NodeLoader,
  left: Tree,
  right: Tree,
  depth: number,
  lower: string,
  middle: string,
  upper: string | undefined,
): Tree {
  if (left === null) return right
  if (right === null) return left
  const a = loader.open(left, depth, lower, middle)
  const b = loader.open(right, depth, middle, upper)
  const seam = mergeTrees(
    loader,
    a.trees[a.keys.length] ?? null,
    b.trees[0] ?? null,
    depth - 1,
    a.keys[a.keys.length - 1] ?? lower,
    middle,
    b.keys[0] ?? upper,
  )
  return new MstNode(
    depth,
    [...a.keys, ...b.keys],
    [...a.values, ...b.values],
    [...a.trees.slice(0, -1), seam, ...b.trees.slice(1)],
  )
}
