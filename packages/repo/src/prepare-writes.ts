import { collectBlobs } from './blobs.ts'
import { encodeCbor } from './encode-cbor.ts'
import { MAJOR_MAP } from './cbor-reader.ts'
import { asCid, type Cid, cidKey, type CidKey, cidKeyForCbor } from './cid.ts'
import { InvalidWriteError, LimitExceededError } from './errors.ts'
import { MAX_COMMIT_OPS, MAX_RECORD_BYTES } from './limits.ts'
import { formatPath } from './path.ts'
import type { RepoWrite } from './writes.ts'

const ACTIONS: ReadonlySet<unknown> = new Set(['create', 'update', 'put', 'delete'])

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
 * @throws {InvalidWriteError} when the batch is empty, has two writes on one path or something that is no write, or a record is no object of its collection.
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
    if (typeof write !== 'object' || write === null) throw new InvalidWriteError('not a write')
    const { action, collection, rkey } = write
    if (!ACTIONS.has(action)) throw new InvalidWriteError('unknown action')
    const path = formatPath(collection, rkey)
    if (paths.has(path)) throw new InvalidWriteError('two writes on one path', path)
    paths.add(path)
    return {
      action,
      collection,
      rkey,
      path,
      record: write.action === 'delete' ? undefined : encodeRecord(write.record, collection, path),
      swap: swapOf(write, path),
    }
  })
}

function swapOf(write: RepoWrite, path: string): CidKey | null | undefined {
  if (write.action === 'create') return undefined
  const { swapRecord } = write
  if (swapRecord === undefined || swapRecord === null) return swapRecord
  const cid = asCid(swapRecord)
  if (cid === undefined) throw new InvalidWriteError('swapRecord is not a cid', path)
  return cidKey(cid)
}

function encodeRecord(record: unknown, collection: string, path: string): EncodedRecord {
  if (typeof record !== 'object' || record === null || Array.isArray(record)) {
    throw new InvalidWriteError('record is not an object', path)
  }
  if (!('$type' in record) || record.$type !== collection) {
    throw new InvalidWriteError('$type is not the collection', path)
  }
  const bytes = encodeCbor(record)
  // Bytes and links are objects too.
  if ((bytes[0] ?? 0) >> 5 !== MAJOR_MAP) throw new InvalidWriteError('record is not a map', path)
  if (bytes.length > MAX_RECORD_BYTES) {
    throw new LimitExceededError('recordBytes', MAX_RECORD_BYTES, bytes.length)
  }
  return { cid: cidKeyForCbor(bytes), bytes, blobs: collectBlobs(record) }
}
