import type { CompressZstd } from './dictionary.ts'

/** Messages kept: subscribers that follow live are never further apart. */
const MAX_MESSAGES = 1_000
/** Memory they may take, before and after compression, in bytes: thousands of common ones, and few of the largest. */
const MAX_BYTES: number = 32 * 1024 * 1024

/** How messages are compressed for subscribers that ask for it. */
export interface JetstreamCompression {
  /** `compressZstd` of `./zstd`. */
  readonly compress: CompressZstd
  /** The one that clients have: that of Jetstream v1 is a file of its own repository. */
  readonly dictionary: Uint8Array
}

/** Compresses each message once, for all who are sent it about the same time. */
export class CompressedMessages {
  readonly #zstd: JetstreamCompression
  readonly #recent = new Map<string, Uint8Array>()
  #bytes = 0

  constructor(zstd: JetstreamCompression) {
    this.#zstd = zstd
  }

  bytesOf(message: string): Uint8Array {
    const known = this.#recent.get(message)
    if (known !== undefined) return known
    const { compress, dictionary } = this.#zstd
    const bytes = compress(new TextEncoder().encode(message), dictionary)
    this.#recent.set(message, bytes)
    this.#bytes += sizeOf(message, bytes)
    for (const [oldest, its] of this.#recent) {
      if (this.#recent.size <= MAX_MESSAGES && this.#bytes <= MAX_BYTES) break
      this.#recent.delete(oldest)
      this.#bytes -= sizeOf(oldest, its)
    }
    return bytes
  }
}

/** At the most: a text takes one or two bytes for each code unit. */
function sizeOf(message: string, bytes: Uint8Array): number {
  return 2 * message.length + bytes.length
}
