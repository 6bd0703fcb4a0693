import { createHash, randomBytes } from 'node:crypto'
import { createReadStream, mkdirSync, renameSync, rmSync } from 'node:fs'
import { open, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { DatabaseSync, SQLOutputValue } from 'node:sqlite'
import { createCid, type Cid } from '@skywright/repo'
import { InvalidRequestError, XrpcError } from '@skywright/xrpc'
import { SNIFF_BYTES, sniffMimeType } from './sniff-mime-type.ts'

/** Multicodec of CIDs over raw bytes. */
const RAW_CODEC = 0x55

/** What is known about an uploaded blob. */
export interface BlobInfo {
  readonly did: string
  /** CID as text. */
  readonly cid: string
  readonly mimeType: string
  /** Bytes. */
  readonly size: number
}

/** An upload as it arrives. */
export interface BlobUpload {
  readonly did: string
  /** Row number of the account: names its folder. */
  readonly accountId: number
  readonly body: AsyncIterable<Uint8Array>
  /** What the uploader says it is; the bytes decide where they can. */
  readonly declaredType: string | undefined
  /** `Content-Length`, checked against what arrives. */
  readonly declaredBytes: number | undefined
  readonly signal?: AbortSignal
}

/**
 * Bytes on disk, one file per account and CID, and a row about each.
 *
 * A blob is temporary until a record references it. Which blobs are referenced is known to the repo
 * store alone, whose links are written with the records, so the two can never disagree: a
 * temporary blob is one without a link. Temporary blobs are not served and go after a while.
 */
export interface BlobStore {
  /**
   * Takes in an upload, hashing as it streams. The same bytes again restart the time until collection,
   * and may correct the type as long as no record says what it is.
   *
   * @throws {XrpcError} 413 `BlobTooLarge` beyond the size limit; 400 `InvalidRequest` when the body
   *   has another length than announced. Nothing is kept then.
   */
  upload(
    upload: BlobUpload,
  ): Promise<{ readonly cid: Cid; readonly mimeType: string; readonly size: number }>
  get(did: string, cid: string): BlobInfo | undefined
  /** The bytes as a stream, which opens the file only when it is read; `undefined` when there is no file. */
  read(accountId: number, cid: string): Promise<AsyncIterable<Uint8Array> | undefined>
  /** Blobs uploaded at or before a moment, for collection. */
  listUploadedBefore(
    beforeMs: number,
  ): readonly { readonly did: string; readonly accountId: number; readonly cid: string }[]
  /** Forgets a blob, row first, then file. */
  remove(did: string, accountId: number, cid: string): void
  /** Forgets every blob of an account, rows first, then files. */
  removeAll(did: string, accountId: number): Promise<void>
  count(did: string): number
  /** Deletes files without a row that are older than a moment (uploads cut off by a crash); gives how many. */
  removeStrayFiles(beforeMs: number): Promise<number>
}

export interface BlobStoreOptions {
  readonly database: DatabaseSync
  /** Folder of the files. */
  readonly directory: string
  readonly maxBytes: number
  /** Whether a record references the blob. */
  readonly isReferenced: (did: string, cid: string) => Promise<boolean>
  readonly now: () => number
}

/** Opens the blob table and folder. */
export function openBlobStore(options: BlobStoreOptions): BlobStore {
  const { database, directory, maxBytes, isReferenced, now } = options
  const incoming = join(directory, 'incoming')
  mkdirSync(incoming, { recursive: true, mode: 0o700 })
  database.exec(`
    CREATE TABLE IF NOT EXISTS blob (
      did TEXT NOT NULL, cid TEXT NOT NULL, account_id INTEGER NOT NULL,
      mime_type TEXT NOT NULL, size INTEGER NOT NULL, uploaded_at INTEGER NOT NULL,
      PRIMARY KEY (did, cid)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS blob_uploaded_at ON blob (uploaded_at);`)
  const upsert = database.prepare(`
    INSERT INTO blob (did, cid, account_id, mime_type, size, uploaded_at) VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET mime_type = excluded.mime_type, uploaded_at = excluded.uploaded_at`)
  const select = database.prepare(
    'SELECT did, cid, mime_type, size FROM blob WHERE did = ? AND cid = ?',
  )
  const before = database.prepare('SELECT did, cid, account_id FROM blob WHERE uploaded_at <= ?')
  const remove = database.prepare('DELETE FROM blob WHERE did = ? AND cid = ?')
  const removeAll = database.prepare('DELETE FROM blob WHERE did = ?')
  const count = database.prepare('SELECT count(*) AS count FROM blob WHERE did = ?')
  const inFolder = database.prepare('SELECT 1 FROM blob WHERE account_id = ? AND cid = ?')

  const folderOf = (accountId: number): string => join(directory, String(accountId))
  const pathOf = (accountId: number, cid: string): string => join(folderOf(accountId), cid)

  return {
    async upload(upload) {
      const path = join(incoming, randomBytes(16).toString('hex'))
      try {
        const received = await receive(path, upload, maxBytes)
        const cid = createCid(RAW_CODEC, received.digest)
        const known = select.get(upload.did, cid.toString())
        const mimeType =
          known !== undefined && (await isReferenced(upload.did, cid.toString()))
            ? readInfo(known).mimeType
            : (received.sniffed ?? upload.declaredType ?? 'application/octet-stream')
        const folder = folderOf(upload.accountId)
        // File and row change in one turn of the event loop: a sweep sees both or neither.
        const created = mkdirSync(folder, { recursive: true, mode: 0o700 })
        renameSync(path, join(folder, cid.toString()))
        upsert.run(upload.did, cid.toString(), upload.accountId, mimeType, received.size, now())
        if (created !== undefined) await syncFolder(directory)
        await syncFolder(folder)
        return { cid, mimeType, size: received.size }
      } catch (error) {
        await rm(path, { force: true })
        throw error
      }
    },
    get(did, cid) {
      const row = select.get(did, cid)
      return row === undefined ? undefined : readInfo(row)
    },
    async read(accountId, cid) {
      const path = pathOf(accountId, cid)
      const found = await stat(path).catch(() => undefined)
      return found === undefined ? undefined : readFrom(path)
    },
    listUploadedBefore: (beforeMs) =>
      before.all(beforeMs).map((row) => ({
        did: row['did'] as string,
        accountId: row['account_id'] as number,
        cid: row['cid'] as string,
      })),
    remove(did, accountId, cid) {
      remove.run(did, cid)
      rmSync(pathOf(accountId, cid), { force: true })
    },
    async removeAll(did, accountId) {
      removeAll.run(did)
      await rm(folderOf(accountId), { recursive: true, force: true })
    },
    count: (did) => count.get(did)?.['count'] as number,
    async removeStrayFiles(beforeMs) {
      let removed = 0
      for (const entry of await readdir(directory, { withFileTypes: true })) {
        if (!entry.isDirectory()) continue
        const folder = entry.name
        for (const name of await readdir(join(directory, folder))) {
          const path = join(directory, folder, name)
          if (folder !== 'incoming' && inFolder.get(Number(folder), name) !== undefined) continue
          const found = await stat(path).catch(() => undefined)
          if (found === undefined || found.mtimeMs > beforeMs) continue
          await rm(path, { force: true })
          removed++
        }
      }
      return removed
    },
  }
}

/** A stream that nobody reads (the answer to a HEAD request) holds no file open. */
async function* readFrom(path: string): AsyncGenerator<Uint8Array, void, void> {
  yield* createReadStream(path) as AsyncIterable<Uint8Array>
}

interface Received {
  readonly digest: Uint8Array
  readonly size: number
  readonly sniffed: string | undefined
}

/** Streams the body into a file and flushes it; afterwards the bytes are durable, their name is not yet. */
async function receive(path: string, upload: BlobUpload, maxBytes: number): Promise<Received> {
  const { body, declaredBytes, signal } = upload
  if (declaredBytes !== undefined && declaredBytes > maxBytes) throw tooLarge(maxBytes)
  const hash = createHash('sha256')
  const start: Uint8Array[] = []
  let startBytes = 0
  let size = 0
  const file = await open(path, 'wx', 0o600)
  try {
    for await (const chunk of body) {
      signal?.throwIfAborted()
      size += chunk.length
      if (size > maxBytes) throw tooLarge(maxBytes)
      if (startBytes < SNIFF_BYTES) {
        start.push(chunk.slice(0, SNIFF_BYTES))
        startBytes += chunk.length
      }
      hash.update(chunk)
      await file.writeFile(chunk)
    }
    if (declaredBytes !== undefined && declaredBytes !== size) {
      throw new InvalidRequestError(
        `body has ${size} bytes; content-length announced ${declaredBytes}`,
      )
    }
    await file.sync()
  } finally {
    await file.close()
  }
  return { digest: hash.digest(), size, sniffed: sniffMimeType(Buffer.concat(start)) }
}

/** Makes the names in a folder durable. Windows does that by itself, and cannot open folders. */
async function syncFolder(path: string): Promise<void> {
  if (process.platform === 'win32') return
  const folder = await open(path)
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

function tooLarge(maxBytes: number): XrpcError {
  return new XrpcError(413, 'BlobTooLarge', `a blob may have at most ${maxBytes} bytes`)
}

function readInfo(row: Record<string, SQLOutputValue>): BlobInfo {
  // The STRICT schema above guarantees the types.
  return {
    did: row['did'] as string,
    cid: row['cid'] as string,
    mimeType: row['mime_type'] as string,
    size: row['size'] as number,
  }
}
