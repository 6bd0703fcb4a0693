import { base64 } from 'multiformats/bases/base64'

import { isKeyTooLong } from './encode-cbor.ts'
import { asCid, parseCid } from './cid.ts'
import { describeBadBlob } from './blobs.ts'
import { InvalidCidError, InvalidDataError } from './errors.ts'
import { MAX_CONTAINER_ITEMS, MAX_NESTING } from './limits.ts'

/** What JSON can say. */
export type Json =
  null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }

const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/
const LONE_SURROGATE = /\p{Surrogate}/u

/**
 * Gives the data-model value of JSON: `$link` objects become CIDs, `$bytes` objects become bytes, blobs are checked wherever
 * they stand. Integral floats (`123.0`) are integers.
 *
 * @throws {InvalidDataError} when the JSON breaks the data model: a float, an integer beyond 53 bits, a malformed link,
 * bytes, blob or `$type`, an empty key, a lone surrogate, too much nesting.
 * @see {@link https://atproto.com/specs/data-model#representation-in-json}
 */
export function jsonToLex(json: unknown): unknown {
  return fromJson(json, '', 0)
}

/**
 * {@link jsonToLex} for a record, which must be an object.
 *
 * @throws {InvalidDataError} also when it is not.
 */
export function jsonToRecord(json: unknown): Readonly<Record<string, unknown>> {
  const value = fromJson(json, '', 0)
  if (!isObject(value) || asCid(value) !== undefined || value instanceof Uint8Array) {
    throw new InvalidDataError('record is not an object', '')
  }
  return value
}

/**
 * Gives the JSON of a data-model value.
 *
 * @throws {InvalidDataError} when the value is outside the data model.
 */
export function lexToJson(value: unknown): Json {
  return toJson(value, '', 0)
}

/** Checks that a data-model value (with CIDs and bytes) obeys the data model, blobs and `$type` included. @throws {InvalidDataError} when it does not. */
export function checkLex(value: unknown): void {
  toJson(value, '', 0)
}

function fromJson(json: unknown, path: string, depth: number): unknown {
  if (json === null || typeof json !== 'object') return scalar(json, path)
  if (depth >= MAX_NESTING) throw new InvalidDataError('nested too deeply', path)
  if (Array.isArray(json)) {
    if (json.length > MAX_CONTAINER_ITEMS) throw new InvalidDataError('too many items', path)
    // Unlike `map` this meets the holes.
    return Array.from(json, (item, index) => fromJson(item, `${path}/${index}`, depth + 1))
  }
  if (!isObject(json)) throw new InvalidDataError('not a plain object', path)
  if (Object.hasOwn(json, '$link')) return linkOf(json, path)
  if (Object.hasOwn(json, '$bytes')) return bytesOf(json, path)
  const value: Record<string, unknown> = {}
  for (const key of checkedKeys(json, path)) {
    setOwn(value, key, fromJson(json[key], `${path}/${key}`, depth + 1))
  }
  checkTyped(value, path)
  return value
}

function toJson(value: unknown, path: string, depth: number): Json {
  if (value === null || typeof value !== 'object') return scalar(value, path)
  if (value instanceof Uint8Array) return { $bytes: base64.baseEncode(value) }
  const cid = asCid(value)
  if (cid !== undefined) return { $link: cid.toString() }
  if (depth >= MAX_NESTING) throw new InvalidDataError('nested too deeply', path)
  if (Array.isArray(value)) {
    if (value.length > MAX_CONTAINER_ITEMS) throw new InvalidDataError('too many items', path)
    return Array.from(value, (item, index) => toJson(item, `${path}/${index}`, depth + 1))
  }
  if (!isObject(value)) throw new InvalidDataError('not a plain object', path)
  checkTyped(value, path)
  const json: Record<string, Json> = {}
  for (const key of checkedKeys(value, path)) {
    if (key === '$link' || key === '$bytes') throw new InvalidDataError(`${key} is reserved`, path)
    setOwn(json, key, toJson(value[key], `${path}/${key}`, depth + 1))
  }
  return json
}

function scalar(value: unknown, path: string): null | boolean | number | string {
  if (value === null || typeof value === 'boolean') return value
  if (typeof value === 'string') {
    if (LONE_SURROGATE.test(value)) throw new InvalidDataError('lone surrogate in text', path)
    return value
  }
  if (typeof value === 'number') {
    if (!Number.isInteger(value)) throw new InvalidDataError('float not allowed', path)
    if (!Number.isSafeInteger(value)) throw new InvalidDataError('integer beyond 53 bits', path)
    return value === 0 ? 0 : value
  }
  throw new InvalidDataError(`${typeof value} not allowed`, path)
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || Object.getPrototypeOf(prototype) === null
}

function checkedKeys(value: object, path: string): readonly string[] {
  const keys = Object.keys(value)
  if (keys.length > MAX_CONTAINER_ITEMS) throw new InvalidDataError('too many items', path)
  for (const key of keys) {
    if (key.length === 0) throw new InvalidDataError('empty key', path)
    if (isKeyTooLong(key)) throw new InvalidDataError('key too long', path)
    if (LONE_SURROGATE.test(key)) throw new InvalidDataError('lone surrogate in key', path)
  }
  return keys
}

/** Sets an own property, `__proto__` included. */
function setOwn<T>(target: Record<string, T>, key: string, value: T): void {
  if (key !== '__proto__') target[key] = value
  else
    Object.defineProperty(target, key, {
      value,
      enumerable: true,
      configurable: true,
      writable: true,
    })
}

function checkTyped(value: Readonly<Record<string, unknown>>, path: string): void {
  if (!Object.hasOwn(value, '$type')) return
  const type = value['$type']
  if (typeof type !== 'string' || type.length === 0) {
    throw new InvalidDataError('$type is not a non-empty string', path)
  }
  if (type !== 'blob') return
  const problem = describeBadBlob(value)
  if (problem !== undefined) throw new InvalidDataError(problem, path)
}

function linkOf(json: Readonly<Record<string, unknown>>, path: string): unknown {
  const text = json['$link']
  if (Object.keys(json).length !== 1) throw new InvalidDataError('$link with other keys', path)
  if (typeof text !== 'string') throw new InvalidDataError('$link is not text', path)
  try {
    return parseCid(text)
  } catch (cause) {
    if (cause instanceof InvalidCidError)
      throw new InvalidDataError(`$link: ${cause.reason}`, path, { cause })
    throw cause
  }
}

function bytesOf(json: Readonly<Record<string, unknown>>, path: string): Uint8Array {
  const text = json['$bytes']
  if (Object.keys(json).length !== 1) throw new InvalidDataError('$bytes with other keys', path)
  if (typeof text !== 'string') throw new InvalidDataError('$bytes is not text', path)
  return decodeBase64(text, path)
}

function decodeBase64(text: string, path: string): Uint8Array {
  const unpadded = text.replace(/={1,2}$/, '')
  if (!BASE64.test(text) || unpadded.length % 4 === 1) {
    throw new InvalidDataError('$bytes is not base64', path)
  }
  if (text.length !== unpadded.length && text.length % 4 !== 0) {
    throw new InvalidDataError('$bytes is padded wrongly', path)
  }
  const binary = atob(unpadded)
  return Uint8Array.from(binary, (character) => character.charCodeAt(0))
}
