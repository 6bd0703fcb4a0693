import { cidForCbor, encodeCbor, isPath, jsonToLex, parseCid } from '@skywright/repo'
import { InvalidFrameError } from './errors.ts'
import type { StreamOp } from './stream-event.ts'
import { isDid } from './verify/check-event.ts'

/** Fields of a JSON object, each to be checked before use. */
export type Fields = Readonly<Record<string, unknown>>

/** What reading a message gave: an event, a record that is not what its CID says, or a kind of message nobody knows. */
export type ReadMessage<Event> =
  | { readonly kind: 'event'; readonly event: Event }
  | { readonly kind: 'mismatch'; readonly seq: number; readonly did: string }
  | { readonly kind: 'unknown'; readonly seq?: number; readonly type: string }

/** @throws {InvalidFrameError} when the value is no object. */
export function fieldsOf(value: unknown, name: string): Fields {
  if (value === null || typeof value !== 'object') throw wrongField(name)
  // A JSON object; its fields are checked one by one.
  return value as Fields
}

/** The `did` of a message. @throws {InvalidFrameError} when it is none. */
export function didOf({ did }: Fields): string {
  if (typeof did !== 'string' || !isDid(did)) throw wrongField('did')
  return did
}

/** A number of a message that may be a cursor. @throws {InvalidFrameError} when it is none. */
export function numberOf(value: unknown, name: string): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value)) throw wrongField(name)
  return value
}

/** A text of a message. @throws {InvalidFrameError} when it is none. */
export function textOf(value: unknown, name: string): string {
  if (typeof value !== 'string') throw wrongField(name)
  return value
}

/** What `#identity` says. @throws {InvalidFrameError} when it is no object. */
export function identityOf(value: unknown): { readonly handle?: string } {
  const { handle } = fieldsOf(value, 'identity')
  return typeof handle === 'string' ? { handle } : {}
}

/** What `#account` says. @throws {InvalidFrameError} when `active` is missing. */
export function accountOf(value: unknown): { readonly active: boolean; readonly status?: string } {
  const { active, status } = fieldsOf(value, 'account')
  if (typeof active !== 'boolean') throw wrongField('account.active')
  return { active, ...(typeof status === 'string' ? { status } : {}) }
}

/** The operation of a commit, its record as DAG-CBOR; `undefined` when the record is not what the CID says. */
export function opOf({ operation, collection, rkey, record, cid }: Fields): StreamOp | undefined {
  if (operation !== 'create' && operation !== 'update' && operation !== 'delete') {
    throw wrongField('commit.operation')
  }
  if (typeof collection !== 'string' || typeof rkey !== 'string') {
    throw wrongField('commit.collection')
  }
  const action: StreamOp['action'] = operation
  const path = `${collection}/${rkey}`
  if (!isPath(path)) throw wrongField('commit.rkey')
  const where = { action, collection, rkey, path }
  if (operation === 'delete') return { ...where, cid: null }
  if (typeof cid !== 'string') throw wrongField('commit.cid')
  if (Array.isArray(fieldsOf(record, 'commit.record'))) throw wrongField('commit.record')
  // Checked by being converted.
  const bytes = encodeCbor(jsonToLex(record as Parameters<typeof jsonToLex>[0]))
  const named = parseCid(cid)
  return cidForCbor(bytes).equals(named) ? { ...where, cid: named, record: bytes } : undefined
}

export function wrongField(field: string): InvalidFrameError {
  return new InvalidFrameError(`bad field ${field}`, { part: 'body' })
}
