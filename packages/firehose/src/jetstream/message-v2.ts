import { ConsumerTooSlowError, StreamError } from '../errors.ts'
import type { StreamEvent } from '../stream-event.ts'
import {
  accountOf,
  didOf,
  fieldsOf,
  identityOf,
  numberOf,
  opOf,
  textOf,
  wrongField,
  type Fields,
  type ReadMessage,
} from '../message-parts.ts'

/** A note about the stream, which is no event of it. */
export interface JetstreamInfo {
  readonly type: 'info'
  readonly name: string
  readonly message?: string
}

const METHOD = 'network.bsky.jetstream.subscribeEvents'

/**
 * Reads a frame of Jetstream v2, as the `xrpc.v1.json` subprotocol has them.
 *
 * @throws {InvalidFrameError} when it has not the shape of its type.
 * @throws {ConsumerTooSlowError} {@link StreamError} for an error frame.
 */
export function readMessageV2(
  frame: unknown,
  source: string,
): ReadMessage<StreamEvent | JetstreamInfo> {
  const envelope = fieldsOf(frame, 'frame')
  const { $type: type, message } = envelope
  if (type === 'error') {
    const error = textOf(envelope['error'], 'error').slice(0, 128)
    const why = typeof message === 'string' ? message.slice(0, 1_024) : undefined
    throw error === 'ConsumerTooSlow' ? new ConsumerTooSlowError(why) : new StreamError(error, why)
  }
  if (type !== 'message') return { kind: 'unknown', type: String(type) }
  const payload = fieldsOf(envelope['payload'], 'payload')
  const [method, name = ''] = textOf(payload['$type'], '$type').split('#')
  if (method !== METHOD) throw wrongField('$type')
  return name === 'info' ? readInfo(payload) : readEvent(name, payload, source)
}

function readInfo(payload: Fields): ReadMessage<JetstreamInfo> {
  const { message } = payload
  const why = typeof message === 'string' ? { message } : {}
  return { kind: 'event', event: { type: 'info', name: textOf(payload['name'], 'name'), ...why } }
}

function readEvent(name: string, payload: Fields, source: string): ReadMessage<StreamEvent> {
  if (!EVENTS.has(name)) return { kind: 'unknown', type: name }
  const seq = numberOf(payload['seq'], 'seq')
  const did = didOf(payload)
  const time = textOf(payload['time'], 'time')
  const base = { seq, did, source, time, verified: false, live: true }
  switch (name) {
    case 'commit': {
      const rev = textOf(payload['rev'], 'rev')
      const op = opOf(payload)
      if (op === undefined) return { kind: 'mismatch', seq, did }
      return { kind: 'event', event: { ...base, type: 'commit', rev, ops: [op] } }
    }
    case 'sync': {
      const rev = textOf(fieldsOf(payload['sync'], 'sync')['rev'], 'sync.rev')
      return { kind: 'event', event: { ...base, type: 'sync', rev } }
    }
    case 'account':
      return {
        kind: 'event',
        event: { ...base, type: 'account', ...accountOf(payload['account']) },
      }
    default:
      return {
        kind: 'event',
        event: { ...base, type: 'identity', ...identityOf(payload['identity']) },
      }
  }
}

const EVENTS: ReadonlySet<string> = new Set(['commit', 'sync', 'account', 'identity'])
