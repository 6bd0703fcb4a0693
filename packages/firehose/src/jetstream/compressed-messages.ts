import type { CompressZstd } from './dictionary.ts'

/** Messages kept: subscribers that follow live are never further apart. */
const MAX_MESSAGES = 1_000

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

  constructor(zstd: JetstreamCompression) {
    this.#zstd = zstd
  }

  bytesOf(message: string): Uint8Array {
    const known = this.#recent.get(message)
    if (known !== undefined) return known
    const { compress, dictionary } = this.#zstd
    const bytes = compress(new TextEncoder().encode(message), dictionary)
    this.#recent.set(message, bytes)
    if (this.#recent.size > MAX_MESSAGES) {
      const [oldest] = this.#recent.keys()
      if (oldest !== undefined) this.#recent.delete(oldest)
    }
    return bytes
  }
}
