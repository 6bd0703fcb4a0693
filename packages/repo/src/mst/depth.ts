import { fromByteString } from '../byte-string.ts'
import { sha256ByteString, sha256OfAscii } from '../sha256.ts'

/**
 * Gives the depth of a key in the tree: half the number of leading zero bits of its SHA-256, rounded down. (The reference calls it layer, Go height.)
 *
 * @param key - A byte string; repo paths are ASCII and so their own byte strings.
 * @throws {RangeError} when the key has a character above 255.
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

function isAscii(key: string): boolean {
  let highest = 0
  for (let i = 0; i < key.length; i++) highest |= key.charCodeAt(i)
  if (highest > 0xff) throw new RangeError('key must be a byte string')
  return highest < 0x80
}
