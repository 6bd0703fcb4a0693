import { FutureCursorError } from '@skywright/firehose'
import type { FirehoseIssue, OpenStream } from '@skywright/firehose'
import { createLabelVerifier, subscribeLabels } from '@skywright/firehose/labels'
import type { LabelVerifier } from '@skywright/firehose/labels'
import { getLabelerEndpoint } from '@skywright/identity'
import type { IdentityResolver } from '@skywright/identity'

import { backoffMs, timerDelay } from '../backoff.ts'
import type { Delay } from '../backoff.ts'
import type { EventSource, IndexLabelsEvent } from '../event.ts'

/** Options of {@link labelSource}. */
export interface LabelSourceOptions {
  /** DID of the labeler. Labels that it passes on for others are refused. */
  readonly labeler: string
  /** Finds its key and where it serves; share one with everything else that resolves identities. */
  readonly resolver: Pick<IdentityResolver, 'resolveDid'>
  /** Told of every label that was refused, of reconnects and of look-ups that failed. */
  readonly onIssue: (issue: FirehoseIssue) => void
  /** Base URL. @defaultValue the `#atproto_labeler` service of its DID document, looked up again when it moved */
  readonly service?: string
  /** How sockets are opened. @defaultValue the platform's `WebSocket`; on Node hand in `createOpenWebSocket` of `@skywright/firehose/ws` */
  readonly open?: OpenStream
  /** Accept `http:` endpoints in the DID document, for networks on one machine. @defaultValue false */
  readonly allowHttp?: boolean
  /** Unix milliseconds. @defaultValue Date.now */
  readonly now?: () => number
  /** Waits between look-ups that failed. @defaultValue a timer */
  readonly delay?: Delay
}

/** Failed connections in a row after which the labeler is looked up again: it may have moved. */
const ATTEMPTS_BEFORE_LOOKUP = 5
const FIRST_RETRY_MS = 1_000
const MAX_RETRY_MS = 300_000

/** Name of the source of a labeler: its position is stored under it. */
export function labelSourceName(labeler: string): string {
  return `labels:${labeler}`
}

/**
 * A labeler as a source: everything it ever said and still sends, then what it says. Only labels that its
 * `#atproto_label` key signed are given; after a signature that fails the key is looked up afresh, because keys rotate.
 * A labeler that counts from the start again is read from the start.
 */
export function labelSource(options: LabelSourceOptions): EventSource {
  const { labeler, resolver, onIssue, now, open, delay = timerDelay } = options
  const verifier = createLabelVerifier(resolver, now === undefined ? {} : { now })
  const name = labelSourceName(labeler)
  /** A key that cannot be looked up is no wrong signature: the stream waits until it can. */
  const verify: LabelVerifier = {
    verify: async (label, { signal = new AbortController().signal } = {}) => {
      for (let attempt = 1; ; attempt++) {
        try {
          return await verifier.verify(label, { signal })
        } catch (error) {
          signal.throwIfAborted()
          const delayMs = backoffMs(attempt, FIRST_RETRY_MS, MAX_RETRY_MS)
          onIssue({ kind: 'resync-failed', source: name, did: labeler, attempt, delayMs, error })
          await delay(delayMs, signal)
        }
      }
    },
  }
  return {
    name,
    async *events({ cursor = 0, signal }): AsyncGenerator<IndexLabelsEvent, void, void> {
      let position = cursor
      let failures = 0
      for (;;) {
        const moved = new AbortController()
        let again = false
        try {
          const service = options.service ?? (await findService(options, failures > 0, signal))
          const labels = subscribeLabels({
            service,
            cursor: position,
            verify,
            src: labeler,
            open,
            signal: AbortSignal.any([signal, moved.signal]),
            onIssue: (issue) => {
              onIssue(issue)
              if (options.service !== undefined || issue.kind !== 'reconnect') return
              again = issue.attempt >= ATTEMPTS_BEFORE_LOOKUP
              if (again) moved.abort()
            },
          })
          for await (const event of labels) {
            failures = 0
            position = event.seq
            yield { type: 'labels', ...event }
          }
          if (signal.aborted || !again) return
          failures++
        } catch (error) {
          if (signal.aborted) return
          if (error instanceof FutureCursorError && position > 0) {
            onIssue({ kind: 'info', source: name, name: 'FutureCursor' })
            position = 0
            continue
          }
          const delayMs = backoffMs(++failures, FIRST_RETRY_MS, MAX_RETRY_MS)
          onIssue({ kind: 'reconnect', source: name, attempt: failures, delayMs, error })
          await delay(delayMs, signal).catch(() => undefined)
          if (signal.aborted) return
        }
      }
    },
  }
}

async function findService(
  { labeler, resolver, allowHttp = false }: LabelSourceOptions,
  refresh: boolean,
  signal: AbortSignal,
): Promise<string> {
  const { document } = await resolver.resolveDid(labeler, { signal, refresh })
  const service = getLabelerEndpoint(document, { allowHttp })
  if (service === undefined) throw new TypeError(`account is no labeler; did=${labeler}`)
  return service
}
