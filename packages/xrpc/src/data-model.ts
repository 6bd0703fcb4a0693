import { BlobRef as LexiconBlobRef, jsonToLex } from '@atproto/lexicon'
import { decodeBase64, encodeBase64 } from './base64.ts'
import { InvalidDataError } from './errors.ts'
import type { CidLink } from './infer.ts'

/** Nesting accepted in a request body: a record of depth 32 inside its envelope. */
export const MAX_INPUT_DEPTH = 64
/** Nesting accepted in an answer: threads nest as deep as their replies do. */
export const MAX_OUTPUT_DEPTH = 4_096

/** A CIDv1 in base32 with a SHA-256 digest: `b` and 36 bytes. */
const CID_TEXT = /^b[a-z2-7]{58}$/
const RAW_CODEC = 0x55
const LONE_SURROGATE = 'lone surrogate'

/** Options of {@link fromJson}. */
export interface FromJsonOptions {
  /** Deepest nesting accepted. @defaultValue {@link MAX_INPUT_DEPTH} */
  readonly maxDepth?: number
}

/**
 * Turns parsed JSON into data-model values: `$link` becomes a CID, `$bytes` a `Uint8Array`, blobs are checked.
 *
 * Copies only what changes, so a value without links, bytes and blobs comes back as it is. CIDs and byte arrays
 * already in the value stay. The CIDs satisfy `CID.asCID` of every multiformats version.
 *
 * @throws {InvalidDataError} on floats, unsafe integers, lone surrogates, malformed wrappers and blobs, and nesting too deep
 * @see {@link https://atproto.com/specs/data-model}
 */
export function fromJson(value: unknown, options: FromJsonOptions = {}): unknown {
  return read(value, '', options.maxDepth ?? MAX_INPUT_DEPTH)
}

function read(value: unknown, path: string, depth: number): unknown {
  if (typeof value === 'string') {
    if (!value.isWellFormed()) throw new InvalidDataError(path, LONE_SURROGATE)
    return value
  }
  if (typeof value === 'number') {
    if (!Number.isSafeInteger(value)) throw new InvalidDataError(path, 'not a safe integer')
    return value
  }
  if (typeof value !== 'object' || value === null) {
    if (typeof value === 'bigint' || typeof value === 'function' || typeof value === 'symbol') {
      throw new InvalidDataError(path, typeof value)
    }
    return value
  }
  if (depth === 0) throw new InvalidDataError(path, 'nested too deep')
  if (Array.isArray(value)) return readArray(value, path, depth)
  if (value instanceof Uint8Array || isCidLink(value)) return value
  if (value instanceof LexiconBlobRef) return read(value.original, path, depth)
  return readObject(value as Record<string, unknown>, path, depth)
}

/** Whether a value is good and stays as it is, found without a path for its error: most values are. */
function isLeaf(value: unknown): boolean {
  if (typeof value === 'string') return value.isWellFormed()
  return value === null || typeof value === 'boolean' || Number.isSafeInteger(value)
}

function readArray(value: readonly unknown[], path: string, depth: number): unknown {
  let copy: unknown[] | undefined
  for (let i = 0; i < value.length; i++) {
    const item = value[i]
    if (isLeaf(item)) continue
    const changed = read(item, `${path}/${i}`, depth - 1)
    if (changed !== item) (copy ??= [...value])[i] = changed
  }
  return copy ?? value
}

function readObject(value: Record<string, unknown>, path: string, depth: number): unknown {
  const keys = Object.keys(value)
  if (Object.hasOwn(value, '$link')) return readLink(value['$link'], keys.length, path)
  if (Object.hasOwn(value, '$bytes')) return readBytes(value['$bytes'], keys.length, path)
  let copy: Record<string, unknown> | undefined
  for (const key of keys) {
    const item = value[key]
    if (!key.isWellFormed()) throw new InvalidDataError(path, LONE_SURROGATE)
    if (isLeaf(item)) continue
    const changed = read(item, `${path}/${key}`, depth - 1)
    if (changed !== item) setOwn((copy ??= { ...value }), key, changed)
  }
  const result = copy ?? value
  if (Object.hasOwn(result, '$type')) checkType(result, path)
  return result
}

function checkType(value: Record<string, unknown>, path: string): void {
  const type = value['$type']
  if (typeof type !== 'string' || type === '') {
    throw new InvalidDataError(path, '$type is not a non-empty string')
  }
  if (type !== 'blob') return
  const { ref, mimeType, size } = value
  if (!isCidLink(ref) || ref.code !== RAW_CODEC) {
    throw new InvalidDataError(path, 'blob ref is not a link to raw bytes')
  }
  if (typeof mimeType !== 'string' || mimeType === '') {
    throw new InvalidDataError(path, 'blob without mimeType')
  }
  if (typeof size !== 'number' || size < 0) throw new InvalidDataError(path, 'blob without size')
}

function readLink(text: unknown, keyCount: number, path: string): unknown {
  if (keyCount !== 1 || typeof text !== 'string' || !CID_TEXT.test(text)) {
    throw new InvalidDataError(path, 'malformed $link')
  }
  const link: unknown = parseLink(text, path)
  if (!isCidLink(link)) throw new InvalidDataError(path, 'malformed $link')
  return link
}

function parseLink(text: string, path: string): unknown {
  try {
    return jsonToLex({ $link: text })
  } catch (cause) {
    throw new InvalidDataError(path, 'malformed $link', { cause })
  }
}

function readBytes(text: unknown, keyCount: number, path: string): Uint8Array {
  const bytes = keyCount === 1 && typeof text === 'string' ? decodeBase64(text) : undefined
  if (bytes === undefined) throw new InvalidDataError(path, 'malformed $bytes')
  return bytes
}

/**
 * Turns data-model values into what `JSON.stringify` writes right: CIDs become `$link`, byte arrays `$bytes`.
 *
 * Copies only what changes.
 *
 * @throws {InvalidDataError} when nested deeper than {@link MAX_OUTPUT_DEPTH}
 */
export function toJson(value: unknown): unknown {
  return write(value, MAX_OUTPUT_DEPTH)
}

function write(value: unknown, depth: number): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (depth === 0) throw new InvalidDataError('', 'nested too deep')
  if (Array.isArray(value)) {
    let copy: unknown[] | undefined
    for (let i = 0; i < value.length; i++) {
      const item: unknown = value[i]
      if (typeof item !== 'object' || item === null) continue
      const changed = write(item, depth - 1)
      if (changed !== item) (copy ??= [...(value as unknown[])])[i] = changed
    }
    return copy ?? value
  }
  if (value instanceof Uint8Array) return { $bytes: encodeBase64(value) }
  if (isCidLink(value)) return { $link: value.toString() }
  if (value instanceof LexiconBlobRef) return write(value.original, depth)
  const source = value as Record<string, unknown>
  let copy: Record<string, unknown> | undefined
  for (const key in source) {
    const item = source[key]
    if (typeof item !== 'object' || item === null) continue
    const changed = write(item, depth - 1)
    if (changed !== item) setOwn((copy ??= { ...source }), key, changed)
  }
  return copy ?? value
}

/** Whether a value is a CID object of any multiformats version. */
export function isCidLink(value: unknown): value is CidLink {
  if (typeof value !== 'object' || value === null || !('/' in value)) return false
  const { bytes } = value as { readonly bytes?: unknown }
  return bytes instanceof Uint8Array && value['/'] === bytes
}

/** Sets an own property even when it is called `__proto__`. */
export function setOwn(target: Record<string, unknown>, key: string, value: unknown): void {
  if (key === '__proto__') {
    Object.defineProperty(target, key, {
      value,
      enumerable: true,
      configurable: true,
      writable: true,
    })
  } else {
    target[key] = value
  }
}
