import type { ByteSource } from './car/chunk-reader.ts'
import { CarStream } from './car/stream.ts'
import type { CarLimits } from './car/decode.ts'
import { cidFromKey, type CidKey, formatCidKey } from './cid.ts'
import { copyBytes } from './copy-bytes.ts'
import { MissingBlockError } from './errors.ts'
import { MAX_CAR_BLOCKS, MAX_CAR_BYTES } from './limits.ts'
import type { Block, RepoStage } from './repo-store.ts'
import { createPauser, pause } from './steps.ts'
import type { WalkedBlocks } from './walk-blocks.ts'

/** Bytes of blocks held in memory before they are put into the stage. */
const HELD_BYTES = 8 * 1024 * 1024
/** Blocks held, for those that are tiny. */
const HELD_BLOCKS = 65_536
/** Bytes and blocks put at once, so that no store is busy for long. */
const PUT_BYTES = 256 * 1024
const PUT_BLOCKS = 256

/** Where the blocks of a CAR are gathered. */
export interface ArrivingBlocksOptions extends CarLimits {
  readonly signal?: AbortSignal | undefined
  /** Receives the first root's block as soon as it is there. */
  readonly root: (key: CidKey, block: Uint8Array) => void
}

/**
 * The blocks of a CAR in any order, each under its checked hash: a few megabytes in memory, what is beyond in a stage.
 */
export class ArrivingBlocks implements WalkedBlocks {
  private readonly stage: RepoStage
  private held = new Map<CidKey, Uint8Array>()
  private heldBytes = 0
  private staged = false

  constructor(stage: RepoStage) {
    this.stage = stage
  }

  /**
   * Reads a whole CAR.
   *
   * @throws {InvalidCarError} when it is no CAR v1, is truncated, or a block does not match its CID.
   * @throws {LimitExceededError} when a bound is passed.
   * @throws {MissingBlockError} when the block of the first root is absent.
   */
  async gather(car: Uint8Array | ByteSource, options: ArrivingBlocksOptions): Promise<void> {
    const { maxBytes = MAX_CAR_BYTES, maxBlocks = MAX_CAR_BLOCKS, maxBlockBytes } = options
    const limits = {
      maxBytes,
      maxBlocks,
      ...(maxBlockBytes === undefined ? {} : { maxBlockBytes }),
      signal: options.signal,
    }
    // What the caller holds in one piece anyway needs no second place.
    const inMemory = car instanceof Uint8Array
    const stream = new CarStream(car, limits)
    const pauseWhenDue = createPauser(options.signal)
    try {
      const [root = ''] = await stream.readHeader()
      let rootSeen = false
      for (;;) {
        const section = stream.nextNow() ?? (await stream.next())
        if (section === undefined) break
        const { key, bytes } = section
        if (key === root && !rootSeen) {
          options.root(root, bytes)
          rootSeen = true
        }
        this.hold(key, inMemory ? bytes : copyBytes(bytes))
        if (!inMemory && (this.heldBytes > HELD_BYTES || this.held.size > HELD_BLOCKS)) {
          await this.putHeld()
        }
        const pausing = pauseWhenDue()
        if (pausing !== undefined) await pausing
      }
      if (!rootSeen) throw new MissingBlockError(formatCidKey(root))
    } finally {
      await stream.close()
    }
  }

  private hold(key: CidKey, bytes: Uint8Array): void {
    if (this.held.has(key)) return
    this.held.set(key, bytes)
    this.heldBytes += bytes.length
  }

  private async putHeld(): Promise<void> {
    let batch: Block[] = []
    let size = 0
    for (const [key, bytes] of this.held) {
      batch.push({ cid: cidFromKey(key), bytes })
      size += bytes.length
      if (batch.length < PUT_BLOCKS && size < PUT_BYTES) continue
      await this.stage.putBlocks(batch)
      await pause()
      batch = []
      size = 0
    }
    if (batch.length > 0) await this.stage.putBlocks(batch)
    this.held = new Map()
    this.heldBytes = 0
    this.staged = true
  }

  takeNow(cid: CidKey): Uint8Array | undefined {
    return this.held.get(cid)
  }

  async take(cid: CidKey): Promise<Uint8Array> {
    const bytes = this.held.get(cid) ?? (await this.takeStaged(cid))
    if (bytes === undefined) throw new MissingBlockError(formatCidKey(cid))
    return bytes
  }

  private async takeStaged(cid: CidKey): Promise<Uint8Array | undefined> {
    if (!this.staged) return undefined
    const [bytes] = await this.stage.getBlocks([cidFromKey(cid)])
    return bytes
  }

  takeRecordNow(cid: CidKey): Uint8Array | undefined {
    return this.held.get(cid)
  }

  takeRecord(cid: CidKey): Promise<Uint8Array> {
    return this.take(cid)
  }

  async finish(): Promise<void> {
    // Whatever the tree did not ask for is dropped with the stage.
  }

  async close(): Promise<void> {
    this.held.clear()
  }
}
