import {
  accountOf,
  didOf,
  type Fields,
  fieldsOf,
  identityOf,
  numberOf,
  opOf,
  type ReadMessage,
  textOf,
  wrongField,
} from '../message-parts.ts'
import type { StreamEvent } from '../stream-event.ts'

/** What a message of Tap is, whatever it holds: it is acknowledged by its number. */
export interface TapMessage {
  readonly id: number
  readonly fields: Fields
}

/** Reads the number of a message. @throws {InvalidFrameError} when it has none, and so cannot be acknowledged. */
export function readTapMessage(json: unknown): TapMessage {
  const fields = fieldsOf(json, 'message')
  const id = numberOf(fields['id'], 'id')
  if (id < 0) throw wrongField('id')
  return { id, fields }
}

/** Where and when a message came. */
export interface TapArrival {
  readonly source: string
  readonly time: string
}

/**
 * Reads what a message tells: one operation of a commit, or handle and status of an account, which are two events.
 *
 * @throws {InvalidFrameError} when it has not the shape of its type.
 */
export function readTapEvents(
  { id: seq, fields }: TapMessage,
  { source, time }: TapArrival,
): ReadMessage<readonly StreamEvent[]> {
  const type = textOf(fields['type'], 'type')
  if (type === 'record') {
    const record = fieldsOf(fields['record'], 'record')
    const did = didOf(record)
    const rev = textOf(record['rev'], 'record.rev')
    const { live } = record
    if (typeof live !== 'boolean') throw wrongField('record.live')
    const op = opOf({ ...record, operation: record['action'] })
    if (op === undefined) return { kind: 'mismatch', seq, did }
    const base = { seq, did, source, time, verified: false, live }
    return { kind: 'event', event: [{ ...base, type: 'commit', rev, ops: [op] }] }
  }
  if (type === 'identity') {
    const identity = fieldsOf(fields['identity'], 'identity')
    const { is_active: active, status } = identity
    const base = { seq, did: didOf(identity), source, time, verified: false, live: true }
    const account = accountOf({ active, ...(active === true ? {} : { status }) })
    return {
      kind: 'event',
      event: [
        { ...base, type: 'identity', ...identityOf(identity) },
        { ...base, type: 'account', ...account },
      ],
    }
  }
  return { kind: 'unknown', seq, type }
}
