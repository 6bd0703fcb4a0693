import type { BackoffOptions } from '../backoff.ts'
import type { CursorStore } from '../cursor-store.ts'
import { UnknownFrameError } from '../errors.ts'
import { followFrames } from '../follow.ts'
import { openPlatformSocket } from '../platform-socket.ts'
import type { OpenStream } from '../socket.ts'
import type { FirehoseIssue } from '../stream-event.ts'
import { startCursor } from '../stream-options.ts'
import { systemClock, type Clock } from '../timer.ts'
import { asError } from '../verify/reasons.ts'
import { decodeLabels, type LabelMessage } from './label-codec.ts'
import type { SignedLabel } from './label.ts'
import type { LabelVerifier } from './label-keys.ts'

const SUBSCRIBE_LABELS = 'com.atproto.label.subscribeLabels'
const STALL_MS = 60_000
const HIGH_WATER_BYTES = 4_194_304

export interface SubscribeLabelsOptions {
  /** Base URL of the labeler. */
  readonly service: string
  /** Where to start; a store is also kept up to date. 0: everything the labeler still sends. Absent: live. */
  readonly cursor?: number | CursorStore | undefined
  /** Proves every label; `false` trusts the service. */
  readonly verify: LabelVerifier | false
  /** Only labels of this labeler count; absent for services that pass on labels of many. */
  readonly src?: string | undefined
  /** Told of every label that was refused. */
  readonly onIssue: (issue: FirehoseIssue) => void
  readonly signal?: AbortSignal | undefined
  /** @defaultValue the platform's `WebSocket` */
  readonly open?: OpenStream | undefined
  readonly backoff?: BackoffOptions | undefined
  readonly clock?: Clock | undefined
}

/** One message of a labeler: its labels that hold. */
export interface LabelsEvent {
  readonly seq: number
  readonly labels: readonly SignedLabel[]
}

/**
 * Follows a labeler. A message counts as handled when the loop asks for the next one; then the cursor is stored.
 *
 * A label that is malformed, of another labeler, or badly signed is reported as `rejected` and left out; the message's
 * others are given. A labeler whose document cannot be had rejects its labels as `unresolvable-identity`.
 *
 * @throws {FutureCursorError} when the labeler does not know the cursor yet.
 */
export async function* subscribeLabels(
  options: SubscribeLabelsOptions,
): AsyncGenerator<LabelsEvent, void, void> {
  const { service, onIssue, open = openPlatformSocket, clock = systemClock } = options
  const { cursor, cursors } = await startCursor(service, options.cursor)
  const left = new AbortController()
  const signal =
    options.signal === undefined ? left.signal : AbortSignal.any([options.signal, left.signal])
  try {
    for await (const { frame, peek } of followFrames({
      service,
      nsid: SUBSCRIBE_LABELS,
      cursor,
      open,
      clock,
      signal,
      onIssue,
      backoff: options.backoff,
      stallMs: STALL_MS,
      idleTimeoutMs: undefined,
      highWaterBytes: HIGH_WATER_BYTES,
    })) {
      const message = read(frame, service, peek.seq, onIssue)
      if (message === undefined) continue
      if (message.type === 'info') {
        const { name } = message
        if (name === 'OutdatedCursor') onIssue({ kind: 'outdated-cursor', source: service, cursor })
        else onIssue({ kind: 'info', source: service, name })
        continue
      }
      const { seq } = message
      for (const wrong of message.wrong) reject(options, seq, '', `invalid-label ${wrong}`)
      const labels: SignedLabel[] = []
      for (const label of message.labels) {
        const reason = await judge(label, options, signal)
        if (reason === undefined) labels.push(label)
        else reject(options, seq, label.src, reason)
      }
      if (labels.length > 0) yield { seq, labels }
      await cursors?.set(service, seq)
    }
  } finally {
    left.abort()
  }
}

async function judge(
  label: SignedLabel,
  { verify, src }: SubscribeLabelsOptions,
  signal: AbortSignal,
): Promise<string | undefined> {
  if (src !== undefined && label.src !== src) return 'wrong-labeler'
  if (verify === false) return undefined
  try {
    return (await verify.verify(label, { signal })) ? undefined : 'bad-signature'
  } catch {
    signal.throwIfAborted()
    return 'unresolvable-identity'
  }
}

function read(
  frame: Uint8Array,
  source: string,
  seq: number | undefined,
  onIssue: (issue: FirehoseIssue) => void,
): LabelMessage | undefined {
  const at = seq === undefined ? {} : { seq }
  try {
    return decodeLabels(frame)
  } catch (error) {
    if (error instanceof UnknownFrameError) {
      const type = error.type === undefined ? {} : { type: error.type }
      onIssue({ kind: 'unknown-frame', source, op: error.op, ...type, ...at })
    } else onIssue({ kind: 'invalid-frame', source, error: asError(error), ...at })
    return undefined
  }
}

function reject(
  { service, onIssue }: SubscribeLabelsOptions,
  seq: number,
  did: string,
  reason: string,
): void {
  onIssue({ kind: 'rejected', source: service, seq, did, reason })
}
