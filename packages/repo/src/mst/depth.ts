import { sha256OfAscii } from '../sha256.ts'
import { sha256ByteString } from '../sha256.ts'
import { fromByteString } from '../byte-string.ts'

/**
 * Gives the depth of a key in the tree: half the number of leading zero bits of its SHA-256, rounded down. (The reference calls it layer, Go height.)
 *
 * @param key - A byte string; repo paths are ASCII and so their own byte strings.
 * @see {@link https://atproto.com/specs/repository#mst-structure}
 */
export function keyDepth(key: string): number {
  const digest = isAscii(key) ? sha256OfAscii(key) : sha256ByteString(fromByteString(key))
  let bits = 0
  for (let i = 0; i < digest.length; i++) {
    const byte = digest.charCodeAt(i)
    if (byte !== 0) {
      bits += Math.clz32(byte) - 24
      break
    }
    bits += 8
  }
  return bits >> 1
}

function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    if (text.charCodeAt(i) > 0x7f) return false
  }
  return true
}
