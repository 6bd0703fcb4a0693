import type { CidKey } from '../cid.ts'
import { type MstNode, type NodeLoader } from './node.ts'

/** What a full walk found, in key order. */
export interface WalkVisitor {
  /** A node, before anything below it. */
  node?(cid: CidKey, bytes: Uint8Array): void
  /** An entry, in key order. */
  entry(key: string, value: CidKey): void
}

interface Frame {
  readonly node: MstNode
  readonly lower: string
  readonly upper: string | undefined
  index: number
}

/**
 * Walks a whole tree in key order, checking every node against its place; pausing points between nodes and entries. Nodes are let go
 * once they are behind, so that memory stays that of one path.
 *
 * @throws {MissingBlockError} when a block is absent.
 * @throws {InvalidMstError} when a node breaks a rule.
 */
export function* walkTree(
  loader: NodeLoader,
  data: CidKey,
  visitor: WalkVisitor,
): Generator<void, void, void> {
  const root = loader.loadRoot(data)
  visitNode(root, visitor)
  const stack: Frame[] = [{ node: root, lower: '', upper: undefined, index: 0 }]
  for (let frame = stack.at(-1); frame !== undefined; frame = stack.at(-1)) {
    const { node, lower, upper, index } = frame
    const { keys, values, trees } = node
    if (index > 0) {
      const key = keys[index - 1]
      const value = values[index - 1]
      if (key !== undefined && value !== undefined) {
        visitor.entry(key, value)
        yield
      }
    }
    if (index > keys.length) {
      stack.pop()
      continue
    }
    frame.index++
    const tree = trees[index] ?? null
    if (tree === null) continue
    const before = index > 0 ? (keys[index - 1] ?? lower) : lower
    const behind = index < keys.length ? keys[index] : upper
    const child = loader.open(tree, node.depth - 1, before, behind)
    visitNode(child, visitor)
    stack.push({ node: child, lower: before, upper: behind, index: 0 })
    yield
  }
}

function visitNode(node: MstNode, visitor: WalkVisitor): void {
  if (node.cid !== null && node.bytes !== null) visitor.node?.(node.cid, node.bytes)
}
