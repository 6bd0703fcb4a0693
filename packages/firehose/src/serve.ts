import type { EventLog } from './event-log/port.ts'

export interface ServeEventsOptions {
  /** Where the subscriber wants to continue: events with a greater `seq`. Absent: only what happens from now on. */
  readonly cursor?: number | undefined
  readonly signal?: AbortSignal
  /** Cut a subscriber off once it is more than this many sequence numbers behind while not keeping up. */
  readonly maxLagEvents?: number
}

/** Frames for one subscriber, by the cursor rules of the specification. */
export declare function serveEvents(
  log: EventLog,
  options?: ServeEventsOptions,
): AsyncGenerator<Uint8Array, void, void>
