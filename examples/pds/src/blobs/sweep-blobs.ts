import type { BlobStore } from './blob-store.ts'

/** How long an upload waits for a record to reference it (the specification asks for hours, never under one). */
export const BLOB_GRACE_MS: number = 6 * 3_600_000

/**
 * Deletes blobs that no record references and that were uploaded longer than the grace period ago,
 * and files that no row knows.
 *
 * @returns how many blobs and stray files went.
 */
export async function sweepBlobs(options: {
  readonly blobs: BlobStore
  /** Whether a record references the blob; asked while no write of the account is under way. */
  readonly isReferenced: (did: string, cid: string) => Promise<boolean>
  /** Runs `work` while no write of the account is under way. */
  readonly exclusively: <T>(did: string, work: () => Promise<T>) => Promise<T>
  readonly nowMs: number
  /** @defaultValue {@link BLOB_GRACE_MS} */
  readonly graceMs?: number
}): Promise<{ readonly blobs: number; readonly strayFiles: number }> {
  const { blobs, isReferenced, exclusively, nowMs, graceMs = BLOB_GRACE_MS } = options
  const beforeMs = nowMs - graceMs
  let count = 0
  for (const { did, accountId, cid } of blobs.listUploadedBefore(beforeMs)) {
    await exclusively(did, async () => {
      if (await isReferenced(did, cid)) return
      blobs.remove(did, accountId, cid)
      count++
    })
  }
  return { blobs: count, strayFiles: await blobs.removeStrayFiles(beforeMs) }
}
