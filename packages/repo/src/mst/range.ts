import type { CidKey } from '../cid.ts'
import { type MstNode, type NodeLoader } from './node.ts'

/** A span of keys. */
export interface KeyRange {
  /** Lowest key, included. @defaultValue the first */
  readonly from?: string | undefined
  /** Key above the highest, excluded. @defaultValue none */
  readonly to?: string | undefined
}

interface Frame {
  readonly node: MstNode
  index: number
  readonly lower: string
  readonly upper: string | undefined
}

/**
 * Gives the entries of a span in key order; subtrees wholly below it are not read.
 *
 * @throws {MissingBlockError} when a node of the span is not at hand.
 */
export function* rangeEntries(
  loader: NodeLoader,
  root: MstNode,
  range: KeyRange = {},
): Generator<readonly [key: string, value: CidKey], void, void> {
  const { from = '', to } = range
  const stack: Frame[] = [
    { node: root, index: root.indexOf(from) * 2, lower: '', upper: undefined },
  ]
  for (let frame = stack.at(-1); frame !== undefined; frame = stack.at(-1)) {
    const { node, index, lower, upper } = frame
    const slot = index >> 1
    frame.index++
    if (slot > node.keys.length || (slot === node.keys.length && index % 2 === 1)) {
      stack.pop()
      continue
    }
    const key = node.keys[slot]
    if (index % 2 === 1) {
      const value = node.values[slot]
      if (key === undefined || value === undefined) continue
      if (to !== undefined && key >= to) return
      yield [key, value]
      continue
    }
    const before = slot > 0 ? (node.keys[slot - 1] ?? lower) : lower
    if (to !== undefined && before >= to) return
    const child = loader.child(node, slot, lower, upper)
    if (child === null) continue
    stack.push({ node: child, index: child.indexOf(from) * 2, lower: before, upper: key ?? upper })
  }
}

/** Gives the span of the keys that begin with `prefix`. */
export function prefixRange(prefix: string): KeyRange {
  for (let length = prefix.length; length > 0; length--) {
    const code = prefix.charCodeAt(length - 1)
    if (code < 0xff) {
      return { from: prefix, to: prefix.slice(0, length - 1) + String.fromCharCode(code + 1) }
    }
  }
  return { from: prefix }
}
