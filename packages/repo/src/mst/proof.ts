import { type MstNode, type NodeLoader } from './node.ts'

/** Calls `visit` with every node on the search path of `key`, from the top: the proof that the key is there, or is not. */
export function visitPath(
  loader: NodeLoader,
  root: MstNode,
  key: string,
  visit: (node: MstNode) => void,
): void {
  walkPath(loader, root, key, visit, false)
}

/**
 * Calls `visit` with the nodes that are enough to undo an operation on `key` in the tree after it: the key's search path and,
 * where the key is present, the paths to its left and right neighbours.
 *
 * @see {@link https://atproto.com/specs/sync#commit-validation-mst-operation-inversion}
 */
export function visitCoveringProof(
  loader: NodeLoader,
  root: MstNode,
  key: string,
  visit: (node: MstNode) => void,
): void {
  walkPath(loader, root, key, visit, true)
}

function walkPath(
  loader: NodeLoader,
  root: MstNode,
  key: string,
  visit: (node: MstNode) => void,
  neighbours: boolean,
): void {
  let node: MstNode | null = root
  let lower = ''
  let upper: string | undefined
  while (node !== null) {
    visit(node)
    const { keys }: MstNode = node
    const index = node.indexOf(key)
    if (keys[index] === key) {
      if (!neighbours) return
      const before = index > 0 ? (keys[index - 1] ?? lower) : lower
      const behind = index + 1 < keys.length ? keys[index + 1] : upper
      visitEdge(loader, loader.child(node, index, lower, upper), 'last', before, key, visit)
      visitEdge(loader, loader.child(node, index + 1, lower, upper), 'first', key, behind, visit)
      return
    }
    const child: MstNode | null = loader.child(node, index, lower, upper)
    if (index > 0) lower = keys[index - 1] ?? lower
    if (index < keys.length) upper = keys[index]
    node = child
  }
}

/** Visits the nodes along one edge of a tree, down to its first or last key. */
function visitEdge(
  loader: NodeLoader,
  tree: MstNode | null,
  edge: 'first' | 'last',
  lower: string,
  upper: string | undefined,
  visit: (node: MstNode) => void,
): void {
  let node = tree
  let from = lower
  let to = upper
  while (node !== null) {
    visit(node)
    const { keys }: MstNode = node
    const child: MstNode | null = loader.child(node, edge === 'first' ? 0 : keys.length, from, to)
    if (edge === 'first') to = keys[0] ?? to
    else from = keys[keys.length - 1] ?? from
    node = child
  }
}
