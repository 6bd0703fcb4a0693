import {
  createEventVerifier,
  createIdentitySource,
  createMemoryChainStore,
  FutureCursorError,
  subscribeRepos,
} from '@skywright/firehose'
import type { CursorStore, FirehoseIssue, OpenStream } from '@skywright/firehose'
import type { IdentityResolver } from '@skywright/identity'

import { EventQueue } from '../event-queue.ts'
import type { EventSource } from '../event.ts'
import { indexEvent, repairEvent } from './index-event.ts'

/** Options of {@link firehoseSource}. */
export interface FirehoseSourceOptions {
  /**
   * Base URL of a relay or PDS; also the name its cursor is stored under. Of several relays of one network the next is
   * followed when one fails, each with a cursor of its own.
   */
  readonly service: string | readonly [string, ...string[]]
  /** Finds signing keys; share one with everything else that resolves identities. */
  readonly resolver: Pick<IdentityResolver, 'resolveDid' | 'purge'>
  /** Told of everything that was received and is not an event: rejected frames by reason, gaps, reconnects. */
  readonly onIssue: (issue: FirehoseIssue) => void
  /** How sockets are opened. @defaultValue the platform's `WebSocket`; on Node hand in `createOpenWebSocket` of `@skywright/firehose/ws` */
  readonly open?: OpenStream
  /** Accounts verified at the same time. @defaultValue 64 */
  readonly concurrency?: number
  /** Accept `http:` PDS endpoints in DID documents, for networks on one machine. @defaultValue false */
  readonly allowHttp?: boolean
  /** Unix milliseconds; revs from its future are rejected. @defaultValue Date.now */
  readonly now?: () => number
}

/** Events held between the stream and the indexer. */
const QUEUED_EVENTS = 1_000
/** A stream in which nothing happens for so long is taken as open. */
const QUIET_MS = 2_000
/** Rejections that say nothing about the event, which may have been right: its repo is fetched instead. */
const TRANSIENT_REJECTIONS: ReadonlySet<string> = new Set([
  'unresolvable-identity',
  'no-signing-key',
  'internal',
])
/** How often the position below which everything was delivered is asked for. */
const CURSOR_INTERVAL_MS = 100

/**
 * A relay or PDS as a source: every commit is proven by signature, structure and MST inversion before the indexer
 * sees it. Slow identity look-ups of one account do not hold up others, so events of different accounts may
 * overtake each other; positions in between say up to where nothing is outstanding.
 *
 * Whether a commit follows the one before is decided by the indexer against what it has stored, in the transaction that
 * moves the cursor; the verifier's own chain memory may therefore be forgotten at any time.
 */
export function firehoseSource(options: FirehoseSourceOptions): EventSource {
  const {
    service,
    resolver,
    onIssue,
    open,
    concurrency,
    allowHttp = false,
    now = Date.now,
  } = options
  const services = typeof service === 'string' ? [service] : service
  const name = services[0] ?? ''
  return {
    name,
    async *events({ cursor, cursorOf, signal }) {
      const queue = new EventQueue(QUEUED_EVENTS)
      const settled = new Map<string, number | undefined>()
      const missed = (reason: string): void => {
        // In line before every event that comes after the hole.
        void queue.push({ type: 'missed', reason })
      }
      let live = false
      const position: CursorStore = {
        get: async (upstream) => {
          const stored = cursorOf === undefined ? cursor : await cursorOf(upstream)
          const from = live ? undefined : upstream === name ? cursor : stored
          settled.set(upstream, from)
          return from
        },
        set: (upstream, seq) => {
          settled.set(upstream, seq)
          // In line behind every event it covers.
          void queue.push({ type: 'position', seq, upstream })
          return Promise.resolve()
        },
      }
      let onReconnect = (_delayMs: number): void => undefined
      const report = (issue: FirehoseIssue): void => {
        onIssue(issue)
        if (issue.kind === 'reconnect') onReconnect(issue.delayMs)
        if (issue.kind === 'outdated-cursor') missed('OutdatedCursor')
        if (issue.kind === 'rejected' && TRANSIENT_REJECTIONS.has(issue.reason)) {
          const { did, seq, source: upstream } = issue
          void queue.push({ ...repairEvent(did, seq, now(), settled.get(upstream)), upstream })
        }
        // One unreadable frame names where it was; the chain of its account tells the rest.
        if (issue.kind === 'gap' && issue.from === undefined) missed('Gap')
      }
      const follow = async (stopped: AbortSignal): Promise<void> => {
        // Listed only when the stream flows: what is written in between is in one of the two.
        let begins = live || cursor === undefined
        const begin = (): void => {
          if (begins && !signal.aborted) missed(live ? 'FutureCursor' : 'NoCursor')
          begins = false
        }
        let quiet = setTimeout(begin, QUIET_MS)
        // Quiet because there is no connection is not open: what is written until there is one would be in neither.
        onReconnect = (delayMs) => {
          clearTimeout(quiet)
          quiet = setTimeout(begin, delayMs + QUIET_MS)
        }
        const stream = subscribeRepos({
          service,
          cursor: position,
          verify: createEventVerifier({
            identity: createIdentitySource(resolver, { allowHttp }),
            chain: createMemoryChainStore(),
            policy: 'relay',
            now,
          }),
          onIssue: report,
          signal: AbortSignal.any([signal, stopped]),
          open:
            open === undefined
              ? undefined
              : (url, opening) =>
                  open(url, {
                    ...opening,
                    onOpen: () => {
                      opening.onOpen?.()
                      begin()
                    },
                  }),
          concurrency,
          cursorIntervalMs: CURSOR_INTERVAL_MS,
        })
        try {
          for await (const event of stream) {
            begin()
            const upstream = event.source
            await queue.push({ ...indexEvent(event), cursor: settled.get(upstream), upstream })
          }
        } finally {
          clearTimeout(quiet)
          onReconnect = () => undefined
        }
      }
      yield* queue.produced(async (stopped) => {
        try {
          await follow(stopped)
        } catch (error) {
          if (!(error instanceof FutureCursorError)) throw error
          // The service counts from the start again: go on from now, and fetch what may be missing.
          live = true
          await follow(stopped)
        }
      })
    },
  }
}
