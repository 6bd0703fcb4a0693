import { asCid, type Cid, type RepoOp } from '@skywright/repo'
import { decodeFrame, encodeMessageFrame } from '@skywright/xrpc/frame'
import {
  ConsumerTooSlowError,
  FutureCursorError,
  InvalidFrameError,
  StreamError,
  UnknownFrameError,
} from './errors.ts'
import type { AccountEvent, CommitEvent, IdentityEvent, SyncEvent, WireEvent } from './event.ts'
import { MAX_FRAME_BYTES, MAX_PATH_LENGTH, MAX_SEQ } from './limits.ts'

/**
 * The complete frame of an event, with `seq` inside it (an `#info` has none: pass 0).
 *
 * @throws {RangeError} when `seq` is no positive safe integer and the event needs one.
 * @see {@link https://atproto.com/specs/event-stream#framing}
 */
export function encodeEvent(event: WireEvent, seq: number): Uint8Array {
  if (event.type === 'info') {
    return encodeMessageFrame('#info', {
      name: event.name,
      ...(event.message === undefined ? {} : { message: event.message }),
    })
  }
  if (!Number.isSafeInteger(seq) || seq < 1) {
    throw new RangeError(`seq must be a positive safe integer; seq=${String(seq)}`)
  }
  switch (event.type) {
    case 'commit':
      return encodeMessageFrame('#commit', {
        seq,
        rebase: false,
        tooBig: false,
        repo: event.did,
        commit: event.commit,
        rev: event.rev,
        since: event.since,
        ...(event.prevData === undefined ? {} : { prevData: event.prevData }),
        blocks: event.blocks,
        ops: event.ops.map(wireOp),
        blobs: [],
        time: event.time,
      })
    case 'sync':
      return encodeMessageFrame('#sync', {
        seq,
        did: event.did,
        blocks: event.blocks,
        rev: event.rev,
        time: event.time,
      })
    case 'identity':
      return encodeMessageFrame('#identity', {
        seq,
        did: event.did,
        time: event.time,
        ...(event.handle === undefined ? {} : { handle: event.handle }),
      })
    case 'account':
      return encodeMessageFrame('#account', {
        seq,
        did: event.did,
        time: event.time,
        active: event.active,
        ...(event.status === undefined ? {} : { status: event.status }),
      })
  }
}

/**
 * Reads one frame of a `subscribeRepos` stream.
 *
 * Byte fields are views into `frame`. Unknown fields are ignored. Shapes are checked, nothing is proven.
 *
 * @throws {InvalidFrameError} when the bytes are no frame (`part` is `framing`), or the body has not the shape of its
 *   type (`part` is `body`).
 * @throws {UnknownFrameError} for an unknown `op` or message type.
 * @throws {FutureCursorError} {@link ConsumerTooSlowError} {@link StreamError} for an error frame, by its name.
 */
export function decodeEvent(frame: Uint8Array): WireEvent {
  const decoded = readFrame(frame)
  if (decoded.op === 'unknown') throw new UnknownFrameError(decoded.code, decoded.type)
  if (decoded.op === -1) throw streamError(decoded.error, decoded.message)
  const { body } = decoded
  switch (decoded.type) {
    case '#commit':
      return decodeCommit(body)
    case '#sync':
      return decodeSync(body)
    case '#identity':
      return decodeIdentity(body)
    case '#account':
      return decodeAccount(body)
    case '#info':
      return {
        type: 'info',
        name: text(body, 'name'),
        ...optional('message', optionalText(body, 'message')),
      }
    default:
      throw new UnknownFrameError(1, decoded.type)
  }
}

type Body = Readonly<Record<string, unknown>>

function readFrame(frame: Uint8Array): ReturnType<typeof decodeFrame> {
  try {
    return decodeFrame(frame, { maxBytes: MAX_FRAME_BYTES })
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : 'not decodable'
    throw new InvalidFrameError(reason, { cause, part: 'framing' })
  }
}

function streamError(error: string, message: string | undefined): Error {
  if (error === 'FutureCursor') return new FutureCursorError(undefined)
  if (error === 'ConsumerTooSlow') return new ConsumerTooSlowError(message)
  return new StreamError(error, message)
}

function wireOp(op: RepoOp): Record<string, unknown> {
  return {
    action: op.action,
    path: op.path,
    cid: op.cid,
    ...(op.prev === undefined ? {} : { prev: op.prev }),
  }
}

function decodeCommit(body: Body): CommitEvent {
  const since = body['since'] ?? null
  if (since !== null && typeof since !== 'string') fail('since')
  return {
    type: 'commit',
    seq: sequence(body),
    did: text(body, 'repo'),
    commit: link(body['commit']) ?? fail('commit'),
    rev: text(body, 'rev'),
    since,
    ...optional('prevData', optionalLink(body['prevData'], 'prevData')),
    ops: list(body, 'ops').map(decodeOp),
    blocks: bytes(body),
    time: text(body, 'time'),
  }
}

function decodeOp(value: unknown): RepoOp {
  if (value === null || typeof value !== 'object') fail('ops')
  // The frame decoder gives plain objects for maps; fields are checked one by one below.
  const op = value as Body
  const { action } = op
  if (action !== 'create' && action !== 'update' && action !== 'delete') fail('ops.action')
  const path = text(op, 'path')
  if (path.length > MAX_PATH_LENGTH) fail('ops.path')
  const cid = op['cid'] ?? null
  return {
    action,
    path,
    cid: cid === null ? null : (link(cid) ?? fail('ops.cid')),
    ...optional('prev', optionalLink(op['prev'], 'ops.prev')),
  }
}

function decodeSync(body: Body): SyncEvent {
  return {
    type: 'sync',
    seq: sequence(body),
    did: text(body, 'did'),
    rev: text(body, 'rev'),
    blocks: bytes(body),
    time: text(body, 'time'),
  }
}

function decodeIdentity(body: Body): IdentityEvent {
  return {
    type: 'identity',
    seq: sequence(body),
    did: text(body, 'did'),
    ...optional('handle', optionalText(body, 'handle')),
    time: text(body, 'time'),
  }
}

function decodeAccount(body: Body): AccountEvent {
  const { active } = body
  if (typeof active !== 'boolean') fail('active')
  return {
    type: 'account',
    seq: sequence(body),
    did: text(body, 'did'),
    active,
    ...optional('status', optionalText(body, 'status')),
    time: text(body, 'time'),
  }
}

function fail(field: string): never {
  throw new InvalidFrameError(`bad field ${field}`, { part: 'body' })
}

function sequence(body: Body): number {
  const { seq } = body
  if (typeof seq !== 'number' || !Number.isSafeInteger(seq) || seq < 1 || seq > MAX_SEQ) fail('seq')
  return seq
}

function text(body: Body, field: string): string {
  const value = body[field]
  if (typeof value !== 'string') fail(field)
  return value
}

function optionalText(body: Body, field: string): string | undefined {
  const value = body[field] ?? undefined
  if (value !== undefined && typeof value !== 'string') fail(field)
  return value
}

function bytes(body: Body): Uint8Array {
  const value = body['blocks']
  if (!(value instanceof Uint8Array)) fail('blocks')
  return value
}

function list(body: Body, field: string): readonly unknown[] {
  const value = body[field]
  if (!Array.isArray(value)) fail(field)
  return value
}

function link(value: unknown): Cid | undefined {
  return asCid(value) ?? undefined
}

function optionalLink(value: unknown, field: string): Cid | undefined {
  if (value === undefined || value === null) return undefined
  return link(value) ?? fail(field)
}

function optional<K extends string, V>(key: K, value: V | undefined): { readonly [name in K]?: V } {
  if (value === undefined) return {}
  // One computed key: TypeScript widens it to an index signature.
  return { [key]: value } as { readonly [name in K]?: V }
}
