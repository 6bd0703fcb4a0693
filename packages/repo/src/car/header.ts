import { sliceByteString, writeByteString } from '../byte-string.ts'
import { decodeCbor } from '../cbor.ts'
import { encodeCbor } from '../encode-cbor.ts'
import { asCid, CBOR_CID_PREFIX, type Cid, cidFromKey, cidKey, type CidKey } from '../cid.ts'
import { InvalidCarError, RepoError } from '../errors.ts'
import { MAX_CAR_HEADER_BYTES } from '../limits.ts'

/** The encoded header of one blessed CBOR root, up to the CID. */
const HEAD = '\xa2\x65roots\x81\xd8\x2a\x58\x25\x00'
/** The rest of that header behind the CID. */
const TAIL = '\x67version\x01'
const SINGLE_ROOT_BYTES = HEAD.length + 36 + TAIL.length

/**
 * Reads the header item of a CAR and gives its roots, at least one.
 *
 * @throws {InvalidCarError} when it is no CAR v1 header or names no root.
 */
export function decodeCarHeader(bytes: Uint8Array, start: number, end: number): readonly CidKey[] {
  const length = end - start
  if (length > MAX_CAR_HEADER_BYTES) throw new InvalidCarError('header too long', start)
  if (length === SINGLE_ROOT_BYTES) {
    const text = sliceByteString(bytes, start, end)
    const root = text.slice(HEAD.length, HEAD.length + 36)
    if (text.startsWith(HEAD) && text.endsWith(TAIL) && root.startsWith(CBOR_CID_PREFIX))
      return [root]
  }
  let header: unknown
  try {
    header = decodeCbor(bytes.subarray(start, end))
  } catch (cause) {
    if (!(cause instanceof RepoError)) throw cause
    throw new InvalidCarError('header is not canonical cbor', start, { cause })
  }
  if (
    typeof header !== 'object' ||
    header === null ||
    !('version' in header) ||
    !('roots' in header)
  ) {
    throw new InvalidCarError('header lacks version or roots', start)
  }
  if (header.version !== 1) throw new InvalidCarError('version is not 1', start)
  if (!Array.isArray(header.roots) || header.roots.length === 0) {
    throw new InvalidCarError('no root', start)
  }
  return header.roots.map((root: unknown) => {
    const cid = asCid(root)
    if (cid === undefined) throw new InvalidCarError('root is not a link', start)
    return cidKey(cid)
  })
}

/** Gives the encoded header item of a CAR with these roots. */
export function encodeCarHeader(roots: readonly CidKey[]): Uint8Array {
  const [root] = roots
  if (roots.length === 1 && root !== undefined && root.length === 36) {
    const bytes = new Uint8Array(SINGLE_ROOT_BYTES)
    writeByteString(bytes, HEAD + root + TAIL, 0)
    return bytes
  }
  const links: readonly Cid[] = roots.map((key) => cidFromKey(key))
  return encodeCbor({ version: 1, roots: links })
}
