import { cidFromKey, type CidKey } from './cid.ts'
import { InvalidCborError, InvalidRecordError } from './errors.ts'
import { type MstNode, NodeLoader } from './mst/node.ts'
import { createPauser } from './steps.ts'
import { checkRecordBytes, type RecordMode } from './verify-record.ts'
import type { RepoRecord } from './verify-repo.ts'

/** Gives the blocks of a repo in the order of a walk; each method throws {@link MissingBlockError} when there is no such block. */
export interface WalkedBlocks {
  /** A node, if that needs no waiting. */
  takeNow(cid: CidKey): Uint8Array | undefined
  take(cid: CidKey): Promise<Uint8Array>
  /** A record, if that needs no waiting. */
  takeRecordNow(cid: CidKey): Uint8Array | undefined
  takeRecord(cid: CidKey): Promise<Uint8Array>
  /** The walk is over and all is well. */
  finish(): Promise<void>
  /** The walk is over, however it ended. */
  close(): Promise<void>
}

/** Options of {@link walkBlocks}. */
export interface WalkBlocksOptions {
  readonly mode?: RecordMode | undefined
  readonly signal?: AbortSignal | undefined
  /** Receives every node before anything below it. */
  readonly node?: (cid: CidKey, bytes: Uint8Array) => void
}

interface Frame {
  readonly node: MstNode
  readonly lower: string
  readonly upper: string | undefined
  index: number
}

/**
 * Walks the tree with this root and gives its records in path order, every node and record checked, holding the nodes of one
 * path. The event loop gets its turns.
 *
 * @throws {InvalidMstError} when a node breaks a rule.
 * @throws {InvalidRecordError} when a record is not canonical (strict mode).
 * @throws {LimitExceededError} when a record is too long.
 */
export async function* walkBlocks(
  blocks: WalkedBlocks,
  data: CidKey,
  { mode = 'strict', signal, node: visit }: WalkBlocksOptions,
): AsyncGenerator<RepoRecord, void, void> {
  const pauseWhenDue = createPauser(signal)
  try {
    let current = await blocks.take(data)
    const loader = new NodeLoader(() => current)
    const stack: Frame[] = [{ node: loader.loadRoot(data), lower: '', upper: undefined, index: 0 }]
    visit?.(data, current)
    for (let frame = stack.at(-1); frame !== undefined; frame = stack.at(-1)) {
      const { node, lower, upper, index } = frame
      const { keys, values, trees } = node
      if (index > 0) {
        const path = keys[index - 1] ?? ''
        const value = values[index - 1] ?? ''
        const bytes = blocks.takeRecordNow(value) ?? (await blocks.takeRecord(value))
        checkRecord(bytes, path, mode)
        yield { path, cid: cidFromKey(value), bytes }
      }
      frame.index++
      if (index === keys.length) stack.pop()
      const tree = trees[index] ?? null
      if (typeof tree !== 'string') continue
      const before = index > 0 ? (keys[index - 1] ?? lower) : lower
      const behind = index < keys.length ? keys[index] : upper
      current = blocks.takeNow(tree) ?? (await blocks.take(tree))
      const child = loader.load(tree, node.depth - 1, before, behind)
      visit?.(tree, current)
      stack.push({ node: child, lower: before, upper: behind, index: 0 })
      const pausing = pauseWhenDue()
      if (pausing !== undefined) await pausing
    }
    await blocks.finish()
  } finally {
    await blocks.close()
  }
}

function checkRecord(bytes: Uint8Array, path: string, mode: RecordMode): void {
  try {
    checkRecordBytes(bytes, mode)
  } catch (cause) {
    if (!(cause instanceof InvalidCborError)) throw cause
    throw new InvalidRecordError(path, `${cause.reason}, at byte ${cause.offset}`, { cause })
  }
}
