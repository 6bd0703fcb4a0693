import { compare } from 'uint8arrays/compare'

import {
  CBOR_FALSE,
  CBOR_NULL,
  CBOR_TRUE,
  MAJOR_ARRAY,
  MAJOR_BYTES,
  MAJOR_MAP,
  MAJOR_TAG,
} from './cbor-reader.ts'
import { CborWriter } from './cbor-writer.ts'
import { asCid, checkLinkable, type Cid } from './cid.ts'
import { InvalidCborError, InvalidCidError, LimitExceededError } from './errors.ts'
import { MAX_CONTAINER_ITEMS, MAX_NESTING, MAX_OBJECT_KEY_BYTES } from './limits.ts'

/**
 * Gives the canonical encoding of a value.
 *
 * @throws {InvalidCborError} when the value has something the protocol cannot carry: floats, integers beyond 53 bits,
 * `undefined`, lone surrogates, empty or over-long keys, class instances, more nesting than {@link MAX_NESTING}.
 * @throws {LimitExceededError} when the encoding passes {@link MAX_CBOR_BYTES}.
 */
export function encodeCbor(value: unknown): Uint8Array {
  return encodeCborSequence([value])
}

/**
 * Gives the canonical encodings of several values, one right behind the other, as event frames have two. The limit is on all
 * of them together.
 *
 * @throws what {@link encodeCbor} throws.
 * @see {@link https://www.rfc-editor.org/rfc/rfc8742.html}
 */
export function encodeCborSequence(values: readonly unknown[]): Uint8Array {
  const writer = new CborWriter()
  try {
    for (const value of values) writeValue(writer, value, 0)
  } catch (cause) {
    if (cause instanceof InvalidCborError || cause instanceof LimitExceededError) throw cause
    if (cause instanceof InvalidCidError) refuse(`link: ${cause.reason}`)
    // A getter of the value threw.
    throw new InvalidCborError('value cannot be encoded', -1, { cause })
  }
  return writer.finish()
}

/** The tag of a link, and the byte before its binary CID. */
const TAG_LINK = 42
const LINK_PREFIX = 0
/** Most bytes of one UTF-16 code unit in UTF-8. */
const MAX_BYTES_A_UNIT = 3
const BEYOND_ASCII = /[\u0080-\uffff]/
const utf8 = new TextEncoder()

/** Tells whether an object key is longer than {@link MAX_OBJECT_KEY_BYTES} in UTF-8. */
export function isKeyTooLong(key: string): boolean {
  if (key.length * MAX_BYTES_A_UNIT <= MAX_OBJECT_KEY_BYTES) return false
  return key.length > MAX_OBJECT_KEY_BYTES || utf8.encode(key).length > MAX_OBJECT_KEY_BYTES
}

function refuse(reason: string): never {
  throw new InvalidCborError(reason, -1)
}

function writeValue(writer: CborWriter, value: unknown, depth: number): void {
  switch (typeof value) {
    case 'string':
      writeText(writer, value)
      return
    case 'number':
      if (!Number.isSafeInteger(value)) {
        refuse(Number.isInteger(value) ? 'integer beyond 53 bits' : 'float not allowed')
      }
      writer.writeInteger(value)
      return
    case 'boolean':
      writer.writeByte(value ? CBOR_TRUE : CBOR_FALSE)
      return
    case 'bigint':
      if (value > BigInt(Number.MAX_SAFE_INTEGER) || value < BigInt(Number.MIN_SAFE_INTEGER)) {
        refuse('integer beyond 53 bits')
      }
      writer.writeInteger(Number(value))
      return
    case 'object':
      if (value === null) writer.writeByte(CBOR_NULL)
      else writeObject(writer, value, depth)
      return
    default:
      refuse(`${typeof value} not allowed`)
  }
}

function writeText(writer: CborWriter, text: string): void {
  if (!writer.writeText(text)) refuse('lone surrogate in text')
}

function writeObject(writer: CborWriter, value: object, depth: number): void {
  if (Array.isArray(value)) {
    writeArray(writer, value, depth)
    return
  }
  if (ArrayBuffer.isView(value)) {
    if (!isBytes(value)) refuse('bytes must be a Uint8Array')
    writer.writeHead(MAJOR_BYTES, value.length)
    writer.writeRaw(value)
    return
  }
  const cid = asCid(value)
  if (cid === undefined) writeMap(writer, value, depth)
  else writeLink(writer, cid)
}

/** Also of another realm, where `instanceof` does not tell. */
function isBytes(view: ArrayBufferView): view is Uint8Array {
  return (
    view instanceof Uint8Array || Object.prototype.toString.call(view) === '[object Uint8Array]'
  )
}

function writeLink(writer: CborWriter, cid: Cid): void {
  checkLinkable(cid)
  writer.writeHead(MAJOR_TAG, TAG_LINK)
  writer.writeHead(MAJOR_BYTES, cid.bytes.length + 1)
  writer.writeByte(LINK_PREFIX)
  writer.writeRaw(cid.bytes)
}

function writeArray(writer: CborWriter, value: readonly unknown[], depth: number): void {
  if (depth >= MAX_NESTING) refuse('nested too deeply')
  if (value.length > MAX_CONTAINER_ITEMS) refuse('too many items')
  const { length } = value
  writer.writeHead(MAJOR_ARRAY, length)
  // Holes are `undefined` here, and refused.
  for (let i = 0; i < length; i++) writeValue(writer, value[i], depth + 1)
}

function writeMap(writer: CborWriter, value: object, depth: number): void {
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== null && Object.getPrototypeOf(prototype) !== null) refuse('not a plain object')
  if (depth >= MAX_NESTING) refuse('nested too deeply')
  const keys = Object.keys(value)
  if (keys.length > MAX_CONTAINER_ITEMS) refuse('too many items')
  writer.writeHead(MAJOR_MAP, keys.length)
  for (const key of sortKeys(keys)) {
    if (key.length === 0) refuse('empty map key')
    if (isKeyTooLong(key)) refuse('map key too long')
    writeText(writer, key)
    // Checked above: a plain object, whose own keys these are.
    writeValue(writer, (value as Readonly<Record<string, unknown>>)[key], depth + 1)
  }
}

/** Orders keys as canonical CBOR does: by length in UTF-8, then by bytes. */
function sortKeys(keys: string[]): readonly string[] {
  const order = keys.some((key) => BEYOND_ASCII.test(key)) ? compareUtf8 : compareAscii
  for (let i = 1; i < keys.length; i++) {
    if (order(keys[i - 1] ?? '', keys[i] ?? '') > 0) return keys.sort(order)
  }
  return keys
}

function compareAscii(a: string, b: string): number {
  return a.length - b.length || (a < b ? -1 : 1)
}

function compareUtf8(a: string, b: string): number {
  const left = utf8.encode(a)
  const right = utf8.encode(b)
  return left.length - right.length || compare(left, right)
}
