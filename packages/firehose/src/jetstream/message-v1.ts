import type { StreamEvent } from '../stream-event.ts'
import {
  accountOf,
  didOf,
  fieldsOf,
  identityOf,
  numberOf,
  opOf,
  textOf,
  type ReadMessage,
} from '../message-parts.ts'

/**
 * Reads a message of Jetstream v1. `seq` is its `time_us`.
 *
 * @throws {InvalidFrameError} when it has not the shape of its kind.
 */
export function readMessageV1(message: unknown, source: string): ReadMessage<StreamEvent> {
  const fields = fieldsOf(message, 'event')
  const seq = numberOf(fields['time_us'], 'time_us')
  const did = didOf(fields)
  const time = new Date(seq / 1_000).toISOString()
  const base = { seq, did, source, verified: false, live: true }
  switch (fields['kind']) {
    case 'identity': {
      const at = timeOf(fields['identity']) ?? time
      const identity = identityOf(fields['identity'])
      return { kind: 'event', event: { ...base, type: 'identity', ...identity, time: at } }
    }
    case 'account': {
      const at = timeOf(fields['account']) ?? time
      const account = accountOf(fields['account'])
      return { kind: 'event', event: { ...base, type: 'account', ...account, time: at } }
    }
    case 'commit': {
      const commit = fieldsOf(fields['commit'], 'commit')
      const rev = textOf(commit['rev'], 'commit.rev')
      const op = opOf(commit)
      if (op === undefined) return { kind: 'mismatch', seq, did }
      return { kind: 'event', event: { ...base, type: 'commit', rev, ops: [op], time } }
    }
    default:
      return { kind: 'unknown', seq, type: String(fields['kind']) }
  }
}

function timeOf(value: unknown): string | undefined {
  const { time } = fieldsOf(value, 'event')
  return typeof time === 'string' ? time : undefined
}
