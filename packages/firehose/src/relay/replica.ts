import { backoffMs, type BackoffOptions } from '../backoff.ts'
import { decodeEvent } from '../codec.ts'
import { FirehoseError, FutureCursorError } from '../errors.ts'
import type { LogBounds, LogEntry } from '../event-log/port.ts'
import { followFrames, type ReceivedFrame } from '../follow.ts'
import type { OpenStream } from '../socket.ts'
import type { FirehoseIssue } from '../stream-event.ts'
import { systemClock, type Clock } from '../timer.ts'

const SUBSCRIBE_REPOS = 'com.atproto.sync.subscribeRepos'
/** Bytes received and not yet on disk above which the upstream is not read. */
const MAX_PENDING_BYTES = 16 * 1024 * 1024
/** Silence after which a stalled upstream is told of, in milliseconds. */
const STALL_MS = 60_000
/** Longest pause between two attempts to reach the upstream: it is one's own, and readers wait. */
const DEFAULT_MAX_BACKOFF_MS = 10_000
/** Pause before what was hidden is removed from the disk, so that many takedowns cost one reading of the window. */
const REMOVAL_DELAY_MS = 60_000

/** A log that keeps another log's numbers. */
export interface ReplicaLog {
  bounds(): LogBounds
  copy(events: readonly Omit<LogEntry, 'atMs'>[]): Promise<void>
  forgetThrough(seq: number): Promise<number>
  hideDid(did: string): Promise<void>
  removeHidden(): Promise<void>
}

/** What a replica has to tell its operator. */
export type ReplicaNotice =
  | { readonly kind: 'connected' }
  | {
      readonly kind: 'lost'
      readonly attempt: number
      readonly delayMs: number
      readonly error: unknown
    }
  /** The upstream does not have what follows `from` any more: the window begins anew at `to`. */
  | { readonly kind: 'gap'; readonly from: number; readonly to: number }
  /** The upstream is behind this replica. Somebody has to find out why; meanwhile it is asked again and again. */
  | { readonly kind: 'future-cursor'; readonly cursor: number }
  | { readonly kind: 'takedown'; readonly did: string }
  /** A frame that was not copied, because nothing could be made of it. */
  | { readonly kind: 'skipped'; readonly error: unknown }

export interface ReplicateOptions {
  /** Base URL of the relay to be copied. It is trusted: nothing is verified here. */
  readonly upstream: string
  readonly log: ReplicaLog
  readonly open: OpenStream
  readonly onNotice: (notice: ReplicaNotice) => void
  /** Ends it; what was received is on disk when the promise resolves. */
  readonly signal: AbortSignal
  /** Reconnect after this much silence. @defaultValue the socket's own keep-alive is trusted */
  readonly idleTimeoutMs?: number
  /** @defaultValue from a second to ten */
  readonly backoff?: BackoffOptions
  /** @defaultValue the real clock */
  readonly clock?: Clock
}

/**
 * Copies the stream of a relay into a log, frame by frame and number by number, so that a subscriber can go from one to
 * the other with its cursor.
 *
 * - A new replica takes everything the upstream still has. An old one continues behind its newest event.
 * - What the upstream has lost in between is a gap: the older part of the window is given up, so that subscribers are
 *   told `OutdatedCursor` and not led over the gap.
 * - An account that the stream declares taken down vanishes from the window, whoever took it down.
 *
 * Resolves when the signal aborts.
 *
 * @throws when the log cannot store any more.
 */
export async function replicate(options: ReplicateOptions): Promise<void> {
  await new Replica(options).run()
}

class Replica {
  private readonly options: ReplicateOptions
  private readonly clock: Clock
  private readonly backoff: BackoffOptions
  private pending: Omit<LogEntry, 'atMs'>[] = []
  private pendingBytes = 0
  private writing: Promise<void> | undefined
  private failure: { readonly error: unknown } | undefined
  /** What comes next does not follow what is there. */
  private gap: boolean
  private removal: Promise<void> | undefined

  constructor(options: ReplicateOptions) {
    this.options = options
    this.clock = options.clock ?? systemClock
    this.backoff = { maxMs: DEFAULT_MAX_BACKOFF_MS, ...options.backoff }
    this.gap = options.log.bounds().last === 0
  }

  async run(): Promise<void> {
    const { signal, onNotice, log } = this.options
    for (let attempt = 1; !signal.aborted; attempt++) {
      try {
        for await (const received of this.frames()) {
          attempt = 1
          await this.take(received)
        }
      } catch (error) {
        if (!(error instanceof FutureCursorError)) throw error
        onNotice({ kind: 'future-cursor', cursor: log.bounds().last })
        await this.clock.sleep(backoffMs(attempt, this.backoff), signal).catch(() => undefined)
      } finally {
        await this.written()
      }
    }
    await this.removal
  }

  private frames(): AsyncIterable<ReceivedFrame> {
    const { upstream, open, signal, log, idleTimeoutMs, onNotice } = this.options
    return followFrames({
      service: upstream,
      nsid: SUBSCRIBE_REPOS,
      cursor: log.bounds().last,
      open: (url, options) =>
        open(url, { ...options, onOpen: () => onNotice({ kind: 'connected' }) }),
      clock: this.clock,
      signal,
      onIssue: (issue) => this.issue(issue),
      backoff: this.backoff,
      stallMs: STALL_MS,
      idleTimeoutMs,
      highWaterBytes: MAX_PENDING_BYTES,
    })
  }

  private async take({ frame, peek }: ReceivedFrame): Promise<void> {
    const { log, onNotice } = this.options
    const { seq, did, type } = peek
    if (type === '#info') {
      this.gap ||= isOutdated(frame)
      return
    }
    if (seq === undefined || did === undefined) {
      onNotice({
        kind: 'skipped',
        error: new Error(`frame without seq or account; type=${String(type)}`),
      })
      return
    }
    if (this.gap) {
      await this.written()
      const { last } = log.bounds()
      await log.forgetThrough(seq - 1)
      this.gap = false
      if (last > 0) onNotice({ kind: 'gap', from: last, to: seq })
    }
    if (type === '#account' && isTakedown(frame)) {
      // Everything before the announcement goes, the announcement stays.
      await this.written()
      await log.hideDid(did)
      this.removeLater()
      onNotice({ kind: 'takedown', did })
    }
    // The frame may be a view of a larger buffer: it stays in memory with the newest events.
    this.pending.push({ seq, did, frame })
    this.pendingBytes += frame.length
    this.writing ??= this.write()
    if (this.pendingBytes > MAX_PENDING_BYTES) await this.written()
    else if (this.failure !== undefined) throw this.failure.error
  }

  /** Frames that arrive during a write share the next one. */
  private async write(): Promise<void> {
    await Promise.resolve()
    try {
      while (this.pending.length > 0) {
        const events = this.pending
        this.pending = []
        this.pendingBytes = 0
        await this.options.log.copy(events)
      }
    } catch (error) {
      this.failure = { error }
    }
    this.writing = undefined
  }

  private async written(): Promise<void> {
    await this.writing
    if (this.failure !== undefined) throw this.failure.error
  }

  private removeLater(): void {
    const { signal, log, onNotice } = this.options
    const remove = async (): Promise<void> => {
      try {
        await this.clock.sleep(REMOVAL_DELAY_MS, signal)
        this.removal = undefined
        await log.removeHidden()
      } catch (error) {
        // It stays hidden, and is removed after the next start.
        if (!signal.aborted) onNotice({ kind: 'skipped', error })
      }
    }
    this.removal ??= remove()
  }

  private issue(issue: FirehoseIssue): void {
    const { onNotice } = this.options
    if (issue.kind === 'reconnect') {
      const { attempt, delayMs, error } = issue
      onNotice({ kind: 'lost', attempt, delayMs, error })
    } else if (issue.kind === 'invalid-frame') {
      onNotice({ kind: 'skipped', error: issue.error })
    }
  }
}

function isOutdated(frame: Uint8Array): boolean {
  const event = decode(frame)
  return event?.type === 'info' && event.name === 'OutdatedCursor'
}

function isTakedown(frame: Uint8Array): boolean {
  const event = decode(frame)
  return event?.type === 'account' && !event.active && event.status === 'takendown'
}

/** What cannot be decoded is for subscribers to judge: it is copied all the same. */
function decode(frame: Uint8Array): ReturnType<typeof decodeEvent> | undefined {
  try {
    return decodeEvent(frame)
  } catch (error) {
    if (error instanceof FirehoseError) return undefined
    throw error
  }
}
