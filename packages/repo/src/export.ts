import { formatCarHead, sectionBytes, writeSection } from './car/encode.ts'
import { cidFromKey, cidKey, type CidKey, formatCidKey } from './cid.ts'
import { MissingBlockError, RepoNotFoundError } from './errors.ts'
import { decodeNode, type NodeContents } from './mst/node-codec.ts'
import { parsePath } from './path.ts'
import type { RepoSnapshot, RepoStore, StoredNode, StoredRecord } from './repo-store.ts'
import { isTid } from './tid.ts'

/** Bytes gathered before a chunk is given. */
const CHUNK_BYTES = 65_536

/** Options of {@link exportRepo}. */
export interface ExportOptions {
  /** Give only what commits above this rev added. Everything, when it is no rev up to the current one. */
  readonly since?: string | undefined
  readonly signal?: AbortSignal | undefined
}

/** Gives a repo as chunks of a CAR in streamable order, of one frozen state. Nothing is read before the first chunk is asked for. */
export async function* exportRepo(
  store: RepoStore,
  did: string,
  options: ExportOptions = {},
): AsyncGenerator<Uint8Array, void, void> {
  const { since, signal } = options
  signal?.throwIfAborted()
  const snapshot = await store.snapshot(did)
  if (snapshot === undefined) throw new RepoNotFoundError(did)
  try {
    const { head } = snapshot
    const commit = cidKey(head.commit)
    const known = since !== undefined && isTid(since) && since <= head.rev ? since : ''
    yield formatCarHead([commit])
    let pending: [CidKey, Uint8Array][] = [[commit, head.bytes]]
    let bytes = head.bytes.length
    for await (const block of walk(snapshot, known)) {
      pending.push(block)
      bytes += block[1].length
      if (bytes >= CHUNK_BYTES) {
        yield joinSections(pending)
        signal?.throwIfAborted()
        pending = []
        bytes = 0
      }
    }
    yield joinSections(pending)
  } finally {
    await snapshot.close()
  }
}

function joinSections(blocks: readonly (readonly [CidKey, Uint8Array])[]): Uint8Array {
  let size = 0
  for (const [key, block] of blocks) size += sectionBytes(key, block)
  const chunk = new Uint8Array(size)
  let at = 0
  for (const [key, block] of blocks) at = writeSection(chunk, at, key, block)
  return chunk
}

/**
 * Walks the tree in pre-order, records between subtrees where they belong. A subtree that was there at `since` is left out
 * whole: where anything in it had changed, its node would be newer.
 */
async function* walk(
  snapshot: RepoSnapshot,
  since: string,
): AsyncGenerator<[CidKey, Uint8Array], void, void> {
  const root = cidKey(snapshot.head.data)
  const [node] = await snapshot.getNodes([cidFromKey(root)])
  yield* walkNode(snapshot, root, node, since)
}

async function* walkNode(
  snapshot: RepoSnapshot,
  cid: CidKey,
  node: StoredNode | undefined,
  since: string,
): AsyncGenerator<[CidKey, Uint8Array], void, void> {
  if (node === undefined) throw new MissingBlockError(formatCidKey(cid))
  if (node.rev <= since) return
  yield [cid, node.bytes]
  const contents = decodeNode(node.bytes)
  const { keys, values, trees } = contents
  const { children, records } = await fetchContents(snapshot, contents)
  for (let i = 0; i <= keys.length; i++) {
    const tree = trees[i]
    if (typeof tree === 'string') yield* walkNode(snapshot, tree, children.get(tree), since)
    const value = values[i]
    if (value === undefined) continue
    const record = records[i]
    if (record === undefined || cidKey(record.cid) !== value) throw new MissingBlockError(formatCidKey(value))
    if (record.rev > since) yield [value, record.bytes]
  }
}

async function fetchContents(
  snapshot: RepoSnapshot,
  { keys, trees }: NodeContents,
): Promise<{
  readonly children: ReadonlyMap<CidKey, StoredNode | undefined>
  readonly records: readonly (StoredRecord | undefined)[]
}> {
  const links = trees.filter((tree) => tree !== null)
  const nodes = links.length === 0 ? [] : await snapshot.getNodes(links.map((link) => cidFromKey(link)))
  return {
    children: new Map(links.map((link, index) => [link, nodes[index]])),
    records: keys.length === 0 ? [] : await snapshot.getRecords(keys.map((key) => parsePath(key))),
  }
}
