import type { EventLog, LogEntry, LogReadOptions } from '../port.ts'
import type { SequenceMode } from '../seed.ts'
import type { SegmentAppend, SegmentEntry } from './record.ts'

export interface SegmentEventLogOptions {
  /** Folder of the log; made where absent. One process at a time. */
  readonly folder: string
  /** A file is closed and a new one begun once it holds this many bytes. @defaultValue 256 MiB */
  readonly segmentBytes?: number
  /** Memory for the newest frames, in bytes. @defaultValue 64 MiB */
  readonly tailBytes?: number
  /** @defaultValue 'clock' */
  readonly sequence?: SequenceMode
  /**
   * No number up to this one is given out, whatever the files say: for callers that remember elsewhere what they gave
   * out. @defaultValue 0
   */
  readonly above?: number
  /** Clock in milliseconds. @defaultValue Date.now */
  readonly now?: () => number
  /** Told of every record found damaged, once; its event is lost. */
  readonly onDamage?: (damage: { readonly path: string; readonly offset: number }) => void
}

/** An event that has its number already: another log's. */
export type NumberedEvent = Omit<LogEntry, 'atMs'>

/** A log in files: what every event log can do, and what only this one can. */
export interface SegmentEventLog extends EventLog {
  publish(events: readonly SegmentAppend[]): Promise<readonly number[]>
  read(after: number, options?: LogReadOptions): Promise<readonly SegmentEntry[]>
  /**
   * Appends events of another log under their own numbers, makes them durable together and shows them to readers: for
   * replicas. Not to be mixed with `publish`.
   *
   * @throws {RangeError} when the numbers do not go up from the newest one here; nothing is appended then.
   */
  copy(events: readonly NumberedEvent[]): Promise<void>
  /**
   * The first half of `eraseDid`: makes every event of one account unreadable, durably, without touching the files. Takes
   * milliseconds where erasing may mean reading hundreds of gigabytes.
   */
  hideDid(did: string): Promise<void>
  /** The second half of `eraseDid`: removes what was hidden from the files. Also happens after opening. */
  removeHidden(): Promise<void>
  /**
   * Forgets everything up to a number and says so in `bounds()`: for replicas that missed what is below it. A number
   * above the newest one becomes the newest one.
   *
   * @returns how many events were removed.
   */
  forgetThrough(seq: number): Promise<number>
}
