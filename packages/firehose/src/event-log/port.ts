import type { EventSink } from '@skywright/repo'

/** One event at rest: its place, whose it is, and the exact bytes a subscriber receives. */
export interface LogEntry {
  readonly seq: number
  readonly did: string
  /** The complete event-stream frame, with `seq` inside. Shared by every reader: never write to it. */
  readonly frame: Uint8Array
  /** When it was appended, in whole milliseconds of the log's clock; never less than for the event before. */
  readonly atMs: number
}

/** An event to be given the next sequence number: `encode` must return the frame carrying that number. */
export interface LogAppend {
  readonly did: string
  readonly encode: (seq: number) => Uint8Array
}

/** What the log holds now. */
export interface LogBounds {
  /** Retention removed nothing at or above this number; 1 as long as it removed nothing at all. */
  readonly first: number
  /** The tip: everything at or below this number is visible now or never will be. */
  readonly last: number
}

export interface LogReadOptions {
  /** @defaultValue 500 */
  readonly maxEvents?: number
  /** Stop once this many bytes of frames are gathered (at least one event is returned). @defaultValue 4 MiB */
  readonly maxBytes?: number
}

export interface LogTrimOptions {
  /** Remove events appended before this moment, in milliseconds of the log's clock. */
  readonly beforeMs?: number
  /** Remove the oldest events until at most this many bytes of frames remain. */
  readonly maxBytes?: number
}

/**
 * A totally ordered, durable log of frames: what `subscribeRepos` replays and follows.
 *
 * - Sequence numbers are positive, strictly increasing, never used twice; gaps are legal.
 * - An event becomes visible (`bounds`, `read`, `changed`) only after it is durable, and all lower numbers are
 *   visible or will never be: a reader that saw N never has to look below N again.
 * - Frames handed out are shared and immutable.
 */
export interface EventLog extends AsyncDisposable {
  /** First and last readable sequence number, without I/O. */
  bounds(): LogBounds
  /** Events with `seq` greater than `after`, ascending, at most one page. Empty only when there are none. */
  read(after: number, options?: LogReadOptions): Promise<readonly LogEntry[]>
  /**
   * Resolves as soon as `bounds().last` is greater than `after`.
   *
   * @throws the signal's reason when it aborts first, and {@link LogClosedError} when the log closes.
   */
  changed(after: number, signal?: AbortSignal): Promise<void>
  /**
   * The highest number such that every event up to it was appended before this moment: reading after it starts with
   * the first event at or after the moment.
   */
  seek(atMs: number): Promise<number>
  /**
   * Gives each event the next number, makes all of them durable together, then shows them to readers.
   *
   * @returns the numbers, in order.
   */
  publish(events: readonly LogAppend[]): Promise<readonly number[]>
  /**
   * Makes every event of one account unreadable at once, in the whole window.
   *
   * @returns how many events were removed.
   */
  eraseDid(did: string): Promise<number>
  /** Applies retention. @returns how many events were removed. */
  trim(options: LogTrimOptions): Promise<number>
}

/** A log that can also take part in a repository store's transaction. */
export interface TransactionalEventLog extends EventLog, EventSink {}
