import { collectBlobs } from './blobs.ts'
import { encodeCbor } from './cbor.ts'
import { type Cid, cidKey, type CidKey, cidKeyForCbor } from './cid.ts'
import { InvalidWriteError, LimitExceededError } from './errors.ts'
import { MAX_COMMIT_OPS, MAX_RECORD_BYTES } from './limits.ts'
import { formatPath } from './path.ts'
import type { RepoWrite } from './writes.ts'

/** A record encoded for writing. */
export interface EncodedRecord {
  readonly cid: CidKey
  readonly bytes: Uint8Array
  readonly blobs: readonly Cid[]
}

/** A write checked and encoded, independent of the state of the repo. */
export interface PreparedWrite {
  readonly action: RepoWrite['action']
  readonly collection: string
  readonly rkey: string
  readonly path: string
  /** The new record; undefined for a delete. */
  readonly record: EncodedRecord | undefined
  /** What the record must be now; undefined: anything. */
  readonly swap: CidKey | null | undefined
}

/**
 * Checks a batch and encodes its records.
 *
 * @throws {InvalidWriteError} when the batch is empty, has two writes on one path, or a record is no object of its collection.
 * @throws {InvalidSyntaxError} when a collection or record key is malformed.
 * @throws {InvalidCborError} when a record cannot be encoded.
 * @throws {InvalidDataError} when a record holds a malformed blob.
 * @throws {LimitExceededError} when there are more than {@link MAX_COMMIT_OPS} writes or a record passes {@link MAX_RECORD_BYTES}.
 */
export function prepareWrites(writes: readonly RepoWrite[]): readonly PreparedWrite[] {
  if (writes.length === 0) throw new InvalidWriteError('no writes')
  if (writes.length > MAX_COMMIT_OPS)
    throw new LimitExceededError('commitOps', MAX_COMMIT_OPS, writes.length)
  const paths = new Set<string>()
  return writes.map((write) => {
    const { action, collection, rkey } = write
    const path = formatPath(collection, rkey)
    if (paths.has(path)) throw new InvalidWriteError('two writes on one path', path)
    paths.add(path)
    return {
      action,
      collection,
      rkey,
      path,
      record: write.action === 'delete' ? undefined : encodeRecord(write.record, collection, path),
      swap: swapOf(write),
    }
  })
}

function swapOf(write: RepoWrite): CidKey | null | undefined {
  if (write.action === 'create') return undefined
  const { swapRecord } = write
  return swapRecord === undefined || swapRecord === null ? swapRecord : cidKey(swapRecord)
}

function encodeRecord(record: unknown, collection: string, path: string): EncodedRecord {
  if (typeof record !== 'object' || record === null || Array.isArray(record)) {
    throw new InvalidWriteError('record is not an object', path)
  }
  if (!('$type' in record) || record.$type !== collection) {
    throw new InvalidWriteError('$type is not the collection', path)
  }
  const bytes = encodeCbor(record)
  if (bytes.length > MAX_RECORD_BYTES) {
    throw new LimitExceededError('recordBytes', MAX_RECORD_BYTES, bytes.length)
  }
  return { cid: cidKeyForCbor(bytes), bytes, blobs: collectBlobs(record) }
}
