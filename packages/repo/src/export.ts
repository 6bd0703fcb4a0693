import { isValidNsid } from '@atproto/syntax'

import { joinSections } from './car/car.ts'
import { formatCarHead, sectionBytes } from './car/encode.ts'
import { cidFromKey, cidKey, type CidKey, formatCidKey } from './cid.ts'
import { InvalidSyntaxError, MissingBlockError, RepoNotFoundError } from './errors.ts'
import { decodeNode, type NodeContents } from './mst/node-codec.ts'
import { type KeyRange, prefixRange } from './mst/range.ts'
import { parsePath } from './path.ts'
import type { RepoSnapshot, RepoStore, StoredNode, StoredRecord } from './repo-store.ts'
import { isTid } from './tid.ts'

/** Bytes gathered before a chunk is given. */
const CHUNK_BYTES = 65_536

/** Options of {@link exportRepo}. */
export interface ExportOptions {
  /** Give only what commits above this rev added. Everything, when it is no rev up to the current one. */
  readonly since?: string | undefined
  /**
   * Give only the records of this collection, and of the tree the nodes that prove that none is left out. The protocol has no
   * name for such an export yet: this is for tools on both ends. @defaultValue every collection
   */
  readonly collection?: string | undefined
  readonly signal?: AbortSignal | undefined
}

/** Gives a repo as chunks of a CAR in streamable order, of one frozen state. Nothing is read before the first chunk is asked for. */
export async function* exportRepo(
  store: RepoStore,
  did: string,
  options: ExportOptions = {},
): AsyncGenerator<Uint8Array, void, void> {
  const { since, signal, collection } = options
  const range = collection === undefined ? {} : collectionRange(collection)
  signal?.throwIfAborted()
  const snapshot = await store.snapshot(did)
  if (snapshot === undefined) throw new RepoNotFoundError(did)
  try {
    const { head } = snapshot
    const commit = cidKey(head.commit)
    const known = since !== undefined && isTid(since) && since <= head.rev ? since : ''
    yield formatCarHead([commit])
    let pending: [CidKey, Uint8Array][] = [[commit, head.bytes]]
    let size = sectionBytes(commit, head.bytes)
    for await (const block of walk(snapshot, known, range)) {
      pending.push(block)
      size += sectionBytes(block[0], block[1])
      if (size >= CHUNK_BYTES) {
        yield joinSections(pending, size)
        signal?.throwIfAborted()
        pending = []
        size = 0
      }
    }
    yield joinSections(pending, size)
  } finally {
    await snapshot.close()
  }
}

interface Frame {
  readonly contents: NodeContents
  readonly children: ReadonlyMap<CidKey, StoredNode | undefined>
  readonly records: readonly (StoredRecord | undefined)[]
  /** What the node lies between; no bound: one end of the tree. */
  readonly lower: string
  readonly upper: string | undefined
  index: number
}

function collectionRange(collection: string): KeyRange {
  if (!isValidNsid(collection))
    throw new InvalidSyntaxError('collection', collection, 'not an nsid')
  return prefixRange(`${collection}/`)
}

/**
 * Walks the tree in pre-order, records between subtrees where they belong. A subtree that was there at `since` is left out
 * whole: where anything in it had changed, its node would be newer. So is one outside the range; the paths down to both ends
 * of the range stay, and with them its neighbours.
 */
async function* walk(
  snapshot: RepoSnapshot,
  since: string,
  { from = '', to }: KeyRange,
): AsyncGenerator<[CidKey, Uint8Array], void, void> {
  const root = cidKey(snapshot.head.data)
  const [top] = await snapshot.getNodes([cidFromKey(root)])
  if (top === undefined) throw new MissingBlockError(formatCidKey(root))
  if (top.rev <= since) return
  yield [root, top.bytes]
  const within = (key: string): boolean => key >= from && (to === undefined || key < to)
  const stack = [await openFrame(snapshot, top, within, '', undefined)]
  for (let frame = stack.at(-1); frame !== undefined; frame = stack.at(-1)) {
    const { contents, children, records, index, lower, upper } = frame
    const { keys, values, trees } = contents
    const before = index > 0 ? (keys[index - 1] ?? lower) : lower
    const behind = index < keys.length ? keys[index] : upper
    if (index > 0 && within(before)) {
      const value = values[index - 1] ?? ''
      const record = records[index - 1]
      if (record === undefined || cidKey(record.cid) !== value) {
        throw new MissingBlockError(formatCidKey(value))
      }
      if (record.rev > since) yield [value, record.bytes]
    }
    frame.index++
    if (index === keys.length) stack.pop()
    const tree = trees[index]
    if (typeof tree !== 'string') continue
    if ((behind !== undefined && behind < from) || (to !== undefined && before >= to)) continue
    const node = children.get(tree)
    if (node === undefined) throw new MissingBlockError(formatCidKey(tree))
    if (node.rev <= since) continue
    yield [tree, node.bytes]
    stack.push(await openFrame(snapshot, node, within, before, behind))
  }
}

/** Decodes a node and fetches what it points to, all at once; of the records those within the range. */
async function openFrame(
  snapshot: RepoSnapshot,
  { bytes }: StoredNode,
  within: (key: string) => boolean,
  lower: string,
  upper: string | undefined,
): Promise<Frame> {
  const contents = decodeNode(bytes)
  const { keys, trees } = contents
  const links = trees.filter((tree) => tree !== null)
  const nodes =
    links.length === 0 ? [] : await snapshot.getNodes(links.map((link) => cidFromKey(link)))
  // Those outside the range lie before or behind all of it.
  const first = keys.findIndex(within)
  const wanted = keys.filter(within)
  const found = wanted.length === 0 ? [] : await snapshot.getRecords(wanted.map(parsePath))
  return {
    contents,
    children: new Map(links.map((link, index) => [link, nodes[index]])),
    records: keys.map((_, index) => found[index - first]),
    lower,
    upper,
    index: 0,
  }
}
