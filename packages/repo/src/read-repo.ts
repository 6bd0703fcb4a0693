import type { ByteSource } from './car/chunk-reader.ts'
import { type CarSection, CarStream, releasing } from './car/stream.ts'
import { cidFromKey, type Cid, type CidKey, formatCidKey } from './cid.ts'
import { type CommitObject, commitObject } from './commit.ts'
import { copyBytes } from './copy-bytes.ts'
import { LimitExceededError, MissingBlockError, StaleRevError } from './errors.ts'
import { createPauser } from './steps.ts'
import { verifyCommitBlock } from './verify-commit.ts'
import type { RepoRecord, VerifyRepoOptions } from './verify-repo.ts'
import { walkBlocks, type WalkedBlocks } from './walk-blocks.ts'

/** Options of {@link readRepo}. */
export interface ReadRepoOptions extends VerifyRepoOptions {
  /** Most bytes of blocks that came before they were needed. @defaultValue 64 MiB */
  readonly maxPendingBytes?: number
  readonly signal?: AbortSignal
}

/** A repo being read. */
export interface RepoReader {
  readonly did: string
  readonly rev: string
  /** CID of the commit object. */
  readonly cid: Cid
  /** CID of the MST root. */
  readonly data: Cid
  readonly commit: CommitObject
  /**
   * Records in path order, each proven to be part of the signed tree when it is given. That none is left out is proven when
   * the loop ends by itself. Leaving the loop releases the source; whoever does not loop calls `records.return()`.
   */
  readonly records: AsyncGenerator<RepoRecord, void, void>
}

const MAX_PENDING_BYTES = 64 * 1024 * 1024
/** Bytes of records kept because a sender may send a record once that is at two paths. */
const RECENT_BYTES = 1024 * 1024
/** Records kept for that reason; each may keep the chunk it came in from being released. */
const RECENT_RECORDS = 1024

/**
 * Reads and proves a repo while it arrives, with the checks of {@link verifyRepo} and the memory of one path of the tree.
 *
 * That takes a CAR in streamable order, which {@link Repo.export} writes: commit first, each node before what it points to,
 * in key order. Blocks that come too early are held up to `maxPendingBytes`; a CAR in quite another order does not fit and
 * is refused with {@link LimitExceededError}: gather it and use {@link verifyRepo}.
 *
 * The signature is checked before this resolves. Errors are those of {@link verifyRepo}, from here or from the records.
 */
export async function readRepo(
  source: Uint8Array | ByteSource,
  options: ReadRepoOptions = {},
): Promise<RepoReader> {
  const { did, key, minRev, maxPendingBytes = MAX_PENDING_BYTES, signal } = options
  const stream = new CarStream(source, options)
  try {
    const roots = await stream.readHeader()
    const blocks = new BlockFinder(stream, maxPendingBytes, signal)
    const [root = ''] = roots
    const block = await blocks.take(root)
    const parsed = verifyCommitBlock(
      { roots, blocks: new Map([[root, block]]) },
      undefined,
      did,
      key,
    )
    if (minRev !== undefined && parsed.rev < minRev) throw new StaleRevError(parsed.rev, minRev)
    return {
      did: parsed.did,
      rev: parsed.rev,
      cid: cidFromKey(root),
      data: cidFromKey(parsed.data),
      commit: commitObject(parsed),
      records: releasing(walkBlocks(blocks, parsed.data, options), stream),
    }
  } catch (error) {
    await stream.close()
    throw error
  }
}

/** Finds blocks in a stream in the order they are needed. */
class BlockFinder implements WalkedBlocks {
  private readonly stream: CarStream
  private readonly maxPendingBytes: number
  private readonly pending = new Map<CidKey, Uint8Array>()
  private pendingBytes = 0
  private readonly recent = new Map<CidKey, Uint8Array>()
  private recentBytes = 0
  private readonly pauseWhenDue: () => Promise<void> | undefined

  constructor(stream: CarStream, maxPendingBytes: number, signal: AbortSignal | undefined) {
    this.stream = stream
    this.pauseWhenDue = createPauser(signal)
    this.maxPendingBytes = maxPendingBytes
  }

  /** Gives a block that is needed once, if that needs no waiting. */
  takeNow(cid: CidKey): Uint8Array | undefined {
    const held = this.pending.get(cid)
    if (held !== undefined) {
      this.pending.delete(cid)
      this.pendingBytes -= held.length
      return held
    }
    for (;;) {
      const section = this.stream.nextNow()
      if (section === undefined) return undefined
      if (section.key === cid) return section.bytes
      this.hold(section)
    }
  }

  /** Gives a block that is needed once. @throws {MissingBlockError} when the stream ends without it. */
  async take(cid: CidKey): Promise<Uint8Array> {
    for (;;) {
      const now = this.takeNow(cid)
      if (now !== undefined) return now
      const section = await this.stream.next()
      if (section === undefined) throw new MissingBlockError(formatCidKey(cid))
      if (section.key === cid) return section.bytes
      this.hold(section)
    }
  }

  /** Gives a record, which may be needed again, if that needs no waiting. */
  takeRecordNow(cid: CidKey): Uint8Array | undefined {
    const known = this.recent.get(cid)
    if (known !== undefined) {
      // Anew at the end of the line; copied, so as not to hold its chunk for long.
      this.recent.delete(cid)
      const copy = copyBytes(known)
      this.recent.set(cid, copy)
      return copy
    }
    const bytes = this.takeNow(cid)
    if (bytes !== undefined) this.remember(cid, bytes)
    return bytes
  }

  /** Gives a record, which may be needed again. */
  async takeRecord(cid: CidKey): Promise<Uint8Array> {
    const bytes = await this.take(cid)
    this.remember(cid, bytes)
    return bytes
  }

  /** Reads what is left, which belongs to nothing, so that a damaged rest is noticed. */
  async finish(): Promise<void> {
    while ((await this.stream.next()) !== undefined) await this.pauseWhenDue()
  }

  async close(): Promise<void> {
    await this.stream.close()
  }

  private hold({ key, bytes }: CarSection): void {
    if (this.pending.has(key) || this.recent.has(key)) return
    this.pendingBytes += bytes.length
    if (this.pendingBytes > this.maxPendingBytes) {
      throw new LimitExceededError('carPendingBytes', this.maxPendingBytes, this.pendingBytes)
    }
    // A copy: a view would keep the whole chunk it came in.
    this.pending.set(key, copyBytes(bytes))
  }

  private remember(cid: CidKey, bytes: Uint8Array): void {
    this.recent.set(cid, bytes)
    this.recentBytes += bytes.length
    for (const [oldest, { length }] of this.recent) {
      if (this.recentBytes <= RECENT_BYTES && this.recent.size <= RECENT_RECORDS) return
      this.recent.delete(oldest)
      this.recentBytes -= length
    }
  }
}
