import { type Cid, cidFromKey, cidKey } from './cid.ts'

/** Blocks by CID, in the order they were put. */
export class BlockMap {
  /** By the bytes of the CID, one character each. */
  private readonly blocks: Map<string, Uint8Array>

  constructor(blocks: Map<string, Uint8Array> = new Map<string, Uint8Array>()) {
    this.blocks = blocks
  }

  get size(): number {
    return this.blocks.size
  }

  get(cid: Cid): Uint8Array | undefined {
    return this.blocks.get(cidKey(cid))
  }

  has(cid: Cid): boolean {
    return this.blocks.has(cidKey(cid))
  }

  /** Adds or replaces a block. The caller vouches that the bytes hash to the CID. */
  set(cid: Cid, bytes: Uint8Array): this {
    this.blocks.set(cidKey(cid), bytes)
    return this
  }

  *[Symbol.iterator](): Generator<{ readonly cid: Cid; readonly bytes: Uint8Array }, void, void> {
    for (const [key, bytes] of this.blocks) yield { cid: cidFromKey(key), bytes }
  }
}
