import type { CursorStore } from './cursor-store.ts'
import type { EventFilter } from './filter.ts'
import type { OpenStream } from './socket.ts'
import type { FirehoseIssue, StreamEvent } from './stream-event.ts'
import type { EventVerifier } from './verify/verifier.ts'

export interface SubscribeReposOptions {
  /** `https://`, `wss://` (or `http://`, `ws://`) base URL of a PDS or relay. Several: fail over in this order. */
  readonly service: string | readonly string[]
  /** Where to start: a number, a store (also kept up to date), or absent for live only. */
  readonly cursor?: number | CursorStore
  /** Proves every commit; `false` trusts the service and says so in `event.verified`. */
  readonly verify: EventVerifier | false
  /** Only matching commits are delivered; account, identity and sync events always are. */
  readonly filter?: EventFilter
  /** Told of everything that was not delivered as an event. */
  readonly onIssue: (issue: FirehoseIssue) => void
  readonly signal?: AbortSignal
  /** How sockets are opened. @defaultValue the platform's WebSocket; use `@skywright/firehose/ws` on Node. */
  readonly open?: OpenStream
}

/**
 * Follows a firehose. Events arrive in `seq` order; each is acknowledged by asking for the next one, so the stored
 * cursor never passes an event whose loop body has not finished.
 */
export async function* subscribeRepos(
  options: SubscribeReposOptions,
): AsyncGenerator<StreamEvent, void, void> {
  options.signal?.throwIfAborted()
  yield* []
}
