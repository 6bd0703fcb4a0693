import { parsePath, type VerifiedRepo } from '@skywright/repo'
import { createCollectionMatcher } from '../filter.ts'
import type { StreamOp } from '../stream-event.ts'

/**
 * What has to be done to records known before so that they are those of the repository: creates, updates, and deletes
 * of what is no longer there.
 *
 * @param known path → CID text of what is known; only paths that `collections` match.
 */
export function diffRepo(
  known: ReadonlyMap<string, string>,
  repo: VerifiedRepo,
  collections?: readonly string[],
): StreamOp[] {
  const wanted = collections === undefined ? () => true : createCollectionMatcher(collections)
  const ops: StreamOp[] = []
  const kept = new Set<string>()
  for (const { path, cid, bytes } of repo.records()) {
    const parts = parsePath(path)
    if (!wanted(parts.collection)) continue
    const before = known.get(path)
    if (before !== undefined) kept.add(path)
    if (before === cid.toString()) continue
    const action = before === undefined ? 'create' : 'update'
    ops.push({ action, ...parts, path, cid, record: bytes })
  }
  for (const path of known.keys()) {
    if (kept.has(path)) continue
    ops.push({ action: 'delete', ...parsePath(path), path, cid: null })
  }
  return ops
}
