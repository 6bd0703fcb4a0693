import { decodeEvent } from './codec.ts'
import { FirehoseError } from './errors.ts'
import { streamUrl } from './follow.ts'
import { MAX_FRAME_BYTES } from './limits.ts'
import type { OpenStream } from './socket.ts'

const SUBSCRIBE_REPOS = 'com.atproto.sync.subscribeRepos'
/** Events gone back in the first step; every further step goes four times as far. */
const FIRST_STEP = 4_096
/** Steps enough to cross any window. */
const MAX_STEPS = 24

export interface FindCursorOptions {
  readonly service: string
  /** Moment to go back to, in milliseconds since 1970, by the times that events claim. */
  readonly timeMs: number
  readonly open: OpenStream
  readonly signal: AbortSignal
  /** Longest wait for one event, in milliseconds. @defaultValue 15 seconds */
  readonly timeoutMs?: number
}

/** A place in a stream. */
export interface FoundCursor {
  /** Continue after this number. */
  readonly cursor: number
  /** The stream does not reach back to the moment: events before its oldest one are missed. */
  readonly gap: boolean
}

/**
 * Finds where in a stream a moment is, for streams whose numbers say nothing to us: the cursor of one relay means nothing
 * to another. Goes back from the newest event in growing steps, looking at one event each, until one claims to be older.
 *
 * @returns `undefined` when the service sends no event that could be looked at.
 */
export async function findCursor(options: FindCursorOptions): Promise<FoundCursor | undefined> {
  const newest = await firstEvent(options, undefined)
  if (newest === undefined) return undefined
  let cursor = newest.seq
  for (let step = 0, back = FIRST_STEP; step < MAX_STEPS; step++, back *= 4) {
    cursor = Math.max(0, newest.seq - back)
    const event = await firstEvent(options, cursor)
    if (event === undefined) return undefined
    if (event.timeMs <= options.timeMs) return { cursor, gap: false }
    // What the service gave is not what was asked for, or there is nothing before it.
    if (event.outdated || cursor === 0) return { cursor: Math.max(0, event.seq - 1), gap: true }
  }
  return { cursor, gap: true }
}

interface Looked {
  readonly seq: number
  readonly timeMs: number
  readonly outdated: boolean
}

async function firstEvent(
  { service, open, signal, timeoutMs = 15_000 }: FindCursorOptions,
  cursor: number | undefined,
): Promise<Looked | undefined> {
  const done = new AbortController()
  const within = AbortSignal.any([signal, done.signal, AbortSignal.timeout(timeoutMs)])
  let outdated = false
  try {
    const frames = open(streamUrl(service, SUBSCRIBE_REPOS, cursor), {
      signal: within,
      maxFrameBytes: MAX_FRAME_BYTES,
      highWaterBytes: 65_536,
    })
    for await (const frame of frames) {
      const event = decodeEvent(frame)
      if (event.type === 'info') {
        outdated ||= event.name === 'OutdatedCursor'
        continue
      }
      const timeMs = Date.parse(event.time)
      if (!Number.isNaN(timeMs)) return { seq: event.seq, timeMs, outdated }
    }
  } catch (error) {
    signal.throwIfAborted()
    // Whatever went wrong with looking, following will say it better.
    if (!(error instanceof FirehoseError) && !within.aborted) throw error
  } finally {
    done.abort()
  }
  return undefined
}
