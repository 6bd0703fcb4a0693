import { sliceByteString, writeByteString } from '../byte-string.ts'
import { BLESSED_CID_BYTES, CBOR_CID_PREFIX, CODEC_CBOR, type CidKey, HASH_SHA256 } from '../cid.ts'
import { cidLengthAt } from '../car/section.ts'
import { CBOR_NULL, CborReader, MAJOR_ARRAY, MAJOR_BYTES, MAJOR_UNSIGNED } from '../cbor-reader.ts'
import { putHead } from '../cbor-writer.ts'
import {
  InvalidCarError,
  InvalidCborError,
  InvalidMstError,
  LimitExceededError,
} from '../errors.ts'
import {
  MAX_CAR_BLOCK_BYTES,
  MAX_MST_KEY_BYTES,
  MAX_MST_NODE_ENTRIES,
  MAX_MST_NODE_KEY_BYTES,
} from '../limits.ts'
import { sha256ByteString } from '../sha256.ts'
import { commonPrefixLength } from './common-prefix.ts'

/** The empty tree, encoded. */
export const EMPTY_NODE_BYTES: readonly number[] = [0xa2, 0x61, 0x65, 0x80, 0x61, 0x6c, 0xf6]

/** The contents of one node: `keys[i]` maps to `values[i]`, `trees[i]` lies before `keys[i]` and `trees[keys.length]` behind the last. */
export interface NodeContents {
  readonly keys: readonly string[]
  readonly values: readonly CidKey[]
  readonly trees: (CidKey | null)[]
}

const LINK_HEAD_BYTES = 5
const LINK_BYTES = LINK_HEAD_BYTES + BLESSED_CID_BYTES

/**
 * Reads one node. Checks what a node alone can show: canonical CBOR of exactly these fields, keys not empty, in order and
 * within bounds, maximal prefixes, blessed links to subtrees. Depth, empty nodes and order across nodes are the caller's.
 *
 * @throws {InvalidMstError} when any of that is broken; its `cid` is for the caller to add.
 */
export function decodeNode(bytes: Uint8Array): NodeContents {
  if (bytes.length > MAX_CAR_BLOCK_BYTES) throw new InvalidMstError('node too long')
  const reader = new CborReader(bytes)
  try {
    return readNode(reader)
  } catch (cause) {
    if (cause instanceof InvalidCborError)
      throw new InvalidMstError(`${cause.reason}, at byte ${cause.offset}`, undefined, { cause })
    throw cause
  }
}

function readNode(reader: CborReader): NodeContents {
  const { bytes } = reader
  reader.expectLiteral('\xa2\x61e', 'a map of e and l')
  const count = reader.readArrayHead(MAX_MST_NODE_ENTRIES, 'entries')
  const keys: string[] = []
  const values: CidKey[] = []
  const trees: (CidKey | null)[] = [null]
  let previous = ''
  let keyBytes = 0
  for (let i = 0; i < count; i++) {
    reader.expectLiteral('\xa4\x61k', 'an entry of k, p, t and v')
    const suffixLength = reader.readBytesHead(MAX_MST_KEY_BYTES, 'key suffix')
    const suffixAt = reader.position
    reader.position = suffixAt + suffixLength
    reader.expectLiteral('\x61p', 'p')
    const prefixLength = reader.readUnsigned(previous.length, 'prefix length')
    if (suffixLength === 0) reader.fail('key equals or begins the one before', suffixAt)
    if (prefixLength < previous.length) {
      const before = previous.charCodeAt(prefixLength)
      const now = bytes[suffixAt] ?? 0
      if (now === before) reader.fail('prefix not maximal', suffixAt)
      if (now < before) reader.fail('keys not in order', suffixAt)
    }
    const length = prefixLength + suffixLength
    if (length > MAX_MST_KEY_BYTES) reader.fail('key too long', suffixAt)
    keyBytes += length
    if (keyBytes > MAX_MST_NODE_KEY_BYTES) reader.fail('keys too long together', suffixAt)
    const suffix = sliceByteString(bytes, suffixAt, suffixAt + suffixLength)
    const key = prefixLength === 0 ? suffix : previous.slice(0, prefixLength) + suffix
    reader.expectLiteral('\x61t', 't')
    trees.push(readTree(reader))
    reader.expectLiteral('\x61v', 'v')
    values.push(readValueLink(reader))
    keys.push(key)
    previous = key
  }
  reader.expectLiteral('\x61l', 'l')
  trees[0] = readTree(reader)
  reader.expectEnd()
  return { keys, values, trees }
}

/** Tells whether a link of tag 42 to a 36-byte SHA-256 CID of the CBOR codec begins at `at`. */
function isTreeLinkAt(bytes: Uint8Array, at: number): boolean {
  return (
    bytes[at] === 0xd8 &&
    bytes[at + 1] === 42 &&
    bytes[at + 2] === 0x58 &&
    bytes[at + 3] === BLESSED_CID_BYTES + 1 &&
    bytes[at + 4] === 0 &&
    bytes[at + 5] === 1 &&
    bytes[at + 6] === CODEC_CBOR &&
    bytes[at + 7] === HASH_SHA256 &&
    bytes[at + 8] === 32
  )
}

function readTree(reader: CborReader): CidKey | null {
  const { bytes, position } = reader
  if (reader.peek() === CBOR_NULL) {
    reader.position = position + 1
    return null
  }
  if (position + LINK_BYTES > reader.end || !isTreeLinkAt(bytes, position)) {
    reader.fail('subtree is neither null nor a link to a node')
  }
  reader.position = position + LINK_BYTES
  return sliceByteString(bytes, position + LINK_HEAD_BYTES, position + LINK_BYTES)
}

/** Reads the link to a record; an unusual CID is kept exactly as it is. */
function readValueLink(reader: CborReader): CidKey {
  const { bytes, position } = reader
  if (position + LINK_BYTES <= reader.end && isTreeLinkAt(bytes, position)) {
    reader.position = position + LINK_BYTES
    return sliceByteString(bytes, position + LINK_HEAD_BYTES, position + LINK_BYTES)
  }
  const length = reader.readLinkHead('value')
  const start = reader.position
  try {
    if (bytes[start] !== 1 || cidLengthAt(bytes, start, start + length) !== length) {
      reader.fail('value is not one cid', start)
    }
  } catch (cause) {
    if (cause instanceof InvalidCarError) reader.fail('value is not one cid', start)
    throw cause
  }
  reader.position = start + length
  return sliceByteString(bytes, start, start + length)
}

/** An encoded node with its key. The bytes are a copy of their own. */
export interface EncodedNode {
  readonly cid: CidKey
  readonly bytes: Uint8Array
}

/**
 * Encodes nodes, one after the other, through one growing buffer of its own.
 *
 * Its methods throw {@link LimitExceededError} for a node that {@link decodeNode} would refuse for its size: record keys can be
 * chosen so that all of them lie in one node.
 */
export class NodeEncoder {
  private scratch: Uint8Array

  constructor(initialBytes = 2048) {
    this.scratch = new Uint8Array(initialBytes)
  }

  /** Gives the node's CID; the cheapest form when the bytes are not wanted. */
  encodeCid(
    keys: readonly string[],
    values: readonly CidKey[],
    trees: readonly (CidKey | null)[],
  ): CidKey {
    const end = this.write(keys, values, trees)
    return CBOR_CID_PREFIX + sha256ByteString(this.scratch.subarray(0, end))
  }

  /** Gives the node's CID and bytes. */
  encode(
    keys: readonly string[],
    values: readonly CidKey[],
    trees: readonly (CidKey | null)[],
  ): EncodedNode {
    const end = this.write(keys, values, trees)
    // Only now: writing may have replaced the buffer.
    const bytes = this.scratch.slice(0, end)
    return { cid: CBOR_CID_PREFIX + sha256ByteString(bytes), bytes }
  }

  private write(
    keys: readonly string[],
    values: readonly CidKey[],
    trees: readonly (CidKey | null)[],
  ): number {
    if (keys.length > MAX_MST_NODE_ENTRIES) {
      throw new LimitExceededError('mstNodeEntries', MAX_MST_NODE_ENTRIES, keys.length)
    }
    this.reserve(0, 16)
    let { scratch } = this
    let keyBytes = 0
    scratch[0] = 0xa2
    scratch[1] = 0x61
    scratch[2] = 0x65
    let at = putHead(scratch, 3, MAJOR_ARRAY, keys.length)
    let previous = ''
    for (let i = 0; i < keys.length; i++) {
      const key = keys[i] ?? ''
      const value = values[i] ?? ''
      const tree = trees[i + 1] ?? null
      keyBytes += key.length
      this.reserve(at, key.length + value.length + LINK_BYTES + 48)
      scratch = this.scratch
      const prefixLength = commonPrefixLength(previous, key)
      scratch[at++] = 0xa4
      scratch[at++] = 0x61
      scratch[at++] = 0x6b
      at = putHead(scratch, at, MAJOR_BYTES, key.length - prefixLength)
      for (let j = prefixLength; j < key.length; j++) scratch[at++] = key.charCodeAt(j)
      scratch[at++] = 0x61
      scratch[at++] = 0x70
      at = putHead(scratch, at, MAJOR_UNSIGNED, prefixLength)
      scratch[at++] = 0x61
      scratch[at++] = 0x74
      at = writeLink(scratch, at, tree)
      scratch[at++] = 0x61
      scratch[at++] = 0x76
      at = writeLink(scratch, at, value)
      previous = key
    }
    if (keyBytes > MAX_MST_NODE_KEY_BYTES) {
      throw new LimitExceededError('mstNodeKeyBytes', MAX_MST_NODE_KEY_BYTES, keyBytes)
    }
    this.reserve(at, LINK_BYTES + 8)
    scratch = this.scratch
    scratch[at++] = 0x61
    scratch[at++] = 0x6c
    return writeLink(scratch, at, trees[0] ?? null)
  }

  private reserve(at: number, bytes: number): void {
    if (at + bytes <= this.scratch.length) return
    const grown = new Uint8Array(Math.max(this.scratch.length * 2, at + bytes))
    grown.set(this.scratch)
    this.scratch = grown
  }
}

function writeLink(bytes: Uint8Array, offset: number, key: CidKey | null): number {
  let at = offset
  if (key === null) {
    bytes[at++] = CBOR_NULL
    return at
  }
  bytes[at++] = 0xd8
  bytes[at++] = 42
  at = putHead(bytes, at, MAJOR_BYTES, key.length + 1)
  bytes[at++] = 0
  return at + writeByteString(bytes, key, at)
}
