import { encode as encodeItem, Token, Type } from 'cborg'

import { asCid, checkLinkable } from './cid.ts'
import { InvalidCborError, InvalidCidError, LimitExceededError } from './errors.ts'
import { MAX_CBOR_BYTES, MAX_CONTAINER_ITEMS, MAX_NESTING, MAX_OBJECT_KEY_BYTES } from './limits.ts'

/**
 * Gives the canonical encoding of a value.
 *
 * @throws {InvalidCborError} when the value has something the protocol cannot carry: floats, integers beyond 53 bits,
 * `undefined`, lone surrogates, empty or over-long keys, class instances, more nesting than {@link MAX_NESTING}.
 * @throws {LimitExceededError} when the encoding passes {@link MAX_CBOR_BYTES}.
 */
export function encodeCbor(value: unknown): Uint8Array {
  let bytes: Uint8Array
  try {
    bytes = encodeItem(value, ENCODE_OPTIONS)
  } catch (cause) {
    if (cause instanceof InvalidCborError) throw cause
    if (cause instanceof InvalidCidError) refuse(`link: ${cause.reason}`)
    throw new InvalidCborError('value cannot be encoded', -1, { cause })
  }
  if (bytes.length > MAX_CBOR_BYTES)
    throw new LimitExceededError('cborBytes', MAX_CBOR_BYTES, bytes.length)
  // On Node cborg gives a Buffer, whose methods differ; callers get the plain kind.
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length)
}

const LONE_SURROGATE = /\p{Surrogate}/u
/** Most bytes of one UTF-16 code unit in UTF-8. */
const MAX_BYTES_A_UNIT = 3
const utf8 = new TextEncoder()

/** Tells whether an object key is longer than {@link MAX_OBJECT_KEY_BYTES} in UTF-8. */
export function isKeyTooLong(key: string): boolean {
  if (key.length * MAX_BYTES_A_UNIT <= MAX_OBJECT_KEY_BYTES) return false
  return key.length > MAX_OBJECT_KEY_BYTES || utf8.encode(key).length > MAX_OBJECT_KEY_BYTES
}

function refuse(reason: string): never {
  throw new InvalidCborError(reason, -1)
}

interface Parents {
  readonly parent: Parents | undefined
}

function checkNesting(parents: Parents | undefined): void {
  let depth = 0
  for (let at = parents; at !== undefined; at = at.parent) depth++
  if (depth >= MAX_NESTING) refuse('nested too deeply')
}

function encodeNumber(value: number): Token | null {
  if (!Number.isSafeInteger(value)) {
    refuse(Number.isInteger(value) ? 'integer beyond 53 bits' : 'float not allowed')
  }
  return Object.is(value, -0) ? new Token(Type.uint, 0) : null
}

function encodeBigint(value: bigint): Token {
  if (value > BigInt(Number.MAX_SAFE_INTEGER) || value < BigInt(Number.MIN_SAFE_INTEGER)) {
    refuse('integer beyond 53 bits')
  }
  return value < 0n ? new Token(Type.negint, Number(value)) : new Token(Type.uint, Number(value))
}

function encodeText(value: string): null {
  if (LONE_SURROGATE.test(value)) refuse('lone surrogate in text')
  return null
}

function encodeArray(
  value: readonly unknown[],
  _type: string,
  _options: unknown,
  parents?: Parents,
): null {
  checkNesting(parents)
  if (value.length > MAX_CONTAINER_ITEMS) refuse('too many items')
  return null
}

function encodeObject(
  value: object,
  _type: string,
  _options: unknown,
  parents?: Parents,
): Token[] | null {
  const cid = asCid(value)
  if (cid !== undefined) {
    checkLinkable(cid)
    const link = new Uint8Array(cid.bytes.length + 1)
    link.set(cid.bytes, 1)
    return [new Token(Type.tag, 42), new Token(Type.bytes, link)]
  }
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== null && Object.getPrototypeOf(prototype) !== null) refuse('not a plain object')
  checkNesting(parents)
  const keys = Object.keys(value)
  if (keys.length > MAX_CONTAINER_ITEMS) refuse('too many items')
  for (const key of keys) {
    if (key.length === 0) refuse('empty map key')
    if (isKeyTooLong(key)) refuse('map key too long')
  }
  return null
}

const ENCODE_OPTIONS = {
  float64: true,
  typeEncoders: {
    number: encodeNumber,
    bigint: encodeBigint,
    string: encodeText,
    Array: encodeArray,
    Object: encodeObject,
    undefined: () => refuse('undefined not allowed'),
    Map: () => refuse('not a plain object'),
    Tagged: () => refuse('not a plain object'),
    ArrayBuffer: () => refuse('bytes must be a Uint8Array'),
    DataView: () => refuse('bytes must be a Uint8Array'),
    Uint8ClampedArray: () => refuse('bytes must be a Uint8Array'),
    Int8Array: () => refuse('bytes must be a Uint8Array'),
    Uint16Array: () => refuse('bytes must be a Uint8Array'),
    Int16Array: () => refuse('bytes must be a Uint8Array'),
    Uint32Array: () => refuse('bytes must be a Uint8Array'),
    Int32Array: () => refuse('bytes must be a Uint8Array'),
    Float32Array: () => refuse('bytes must be a Uint8Array'),
    Float64Array: () => refuse('bytes must be a Uint8Array'),
    BigInt64Array: () => refuse('bytes must be a Uint8Array'),
    BigUint64Array: () => refuse('bytes must be a Uint8Array'),
  },
}
