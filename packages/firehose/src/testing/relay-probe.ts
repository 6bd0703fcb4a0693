import { decodeEvent, encodeEvent } from '../codec.ts'
import { FirehoseError } from '../errors.ts'
import { streamUrl } from '../follow.ts'
import { MAX_FRAME_BYTES } from '../limits.ts'
import { patchSeq, peekFrame } from '../peek.ts'
import type { OpenStream } from '../socket.ts'

export interface RelayProbeOptions {
  /** Base URL of the relay: ours, or any that may crawl `localhost` and asks the directory of the network. */
  readonly relay: string
  readonly open: OpenStream
  /**
   * Has the relay follow a host: for relays whose operator must ask.
   * @defaultValue `com.atproto.sync.requestCrawl` without credentials
   */
  readonly crawl?: ((hostname: string) => Promise<void>) | undefined
  /**
   * Whether the relay may write events anew, as the protocol allows: then what they say is compared, without times and
   * handles. @defaultValue false: they must come out byte for byte but for `seq`
   */
  readonly mayReencode?: boolean | undefined
  /** Silence after which what has not come out is lost, in milliseconds. @defaultValue 30 seconds */
  readonly patienceMs?: number | undefined
  /** Ends everything. */
  readonly signal: AbortSignal
}

const SUBSCRIBE_REPOS = 'com.atproto.sync.subscribeRepos'
const DEFAULT_PATIENCE_MS = 30_000

/** Events by what they say; for each as often as it was sent, what it is called. */
type NamedEvents = Map<string, string[]>

/** Listens to a relay and compares what comes out with what should. */
export class RelayProbe implements AsyncDisposable {
  /** Events that came out and should not have, or came twice: what they were told as, or else `type did rev`. */
  readonly forged: string[] = []
  readonly #options: RelayProbeOptions
  readonly #stop = new AbortController()
  readonly #awaited: NamedEvents = new Map()
  readonly #lost: NamedEvents = new Map()
  readonly #lies = new Map<string, string>()
  #arrived: () => void = () => undefined
  #listening: Promise<void> = Promise.resolve()

  constructor(options: RelayProbeOptions) {
    this.#options = options
  }

  /** Events that should have come out and did not, as `type did rev`. */
  get missing(): readonly string[] {
    return [...this.#lost.values(), ...this.#awaited.values()].flat()
  }

  /** Connects; from here on everything counts that the relay sends. */
  async connect(): Promise<void> {
    const { relay, open, signal } = this.#options
    const opened = Promise.withResolvers<void>()
    const frames = open(streamUrl(relay, SUBSCRIBE_REPOS, undefined), {
      signal: AbortSignal.any([signal, this.#stop.signal]),
      maxFrameBytes: MAX_FRAME_BYTES,
      highWaterBytes: MAX_FRAME_BYTES,
      onOpen: () => opened.resolve(),
    })
    this.#listening = this.#listen(frames)
    await Promise.race([opened.promise, this.#listening])
  }

  /** This event is true: it is to come out, once. */
  expect(frame: Uint8Array): void {
    add(this.#awaited, this.#keyOf(frame), nameOf(frame))
  }

  /** This event is a lie: it is not to come out, and has this name if it does. */
  refuse(frame: Uint8Array, name: string): void {
    this.#lies.set(this.#keyOf(frame), name)
  }

  /** Waits until everything expected came out, or nothing more comes. */
  async settled(): Promise<void> {
    const { signal, patienceMs = DEFAULT_PATIENCE_MS } = this.#options
    while (this.#awaited.size > 0 && !signal.aborted) {
      const patience = AbortSignal.any([signal, AbortSignal.timeout(patienceMs)])
      await new Promise<void>((resolve) => {
        this.#arrived = resolve
        patience.addEventListener('abort', () => resolve(), { once: true })
      })
      if (!patience.aborted) continue
      // Not waited for again; should it come late, it was not lost.
      for (const [key, names] of this.#awaited) for (const name of names) add(this.#lost, key, name)
      this.#awaited.clear()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    await this.#listening
  }

  async #listen(frames: AsyncIterable<Uint8Array>): Promise<void> {
    try {
      for await (const frame of frames) {
        this.#heard(frame)
        this.#arrived()
      }
    } catch (error) {
      if (!this.#stop.signal.aborted && !this.#options.signal.aborted) throw error
    }
  }

  #heard(frame: Uint8Array): void {
    const key = this.#keyOf(frame)
    if (take(this.#awaited, key) || take(this.#lost, key)) return
    this.forged.push(this.#lies.get(key) ?? nameOf(frame))
  }

  #keyOf(frame: Uint8Array): string {
    const compared = this.#options.mayReencode === true ? meaningOf(frame) : patchSeq(frame, 1)
    return Buffer.from(compared).toString('latin1')
  }
}

function add(events: NamedEvents, key: string, name: string): void {
  events.set(key, [...(events.get(key) ?? []), name])
}

/** @returns whether it was there. */
function take(events: NamedEvents, key: string): boolean {
  const names = events.get(key)
  names?.pop()
  if (names?.length === 0) events.delete(key)
  return names !== undefined
}

/** The event without what a relay may choose. */
function meaningOf(frame: Uint8Array): Uint8Array {
  const event = decodeEvent(frame)
  // It has no account, and no relay passes it on.
  if (event.type === 'info') return frame
  if (event.type !== 'identity') return encodeEvent({ ...event, time: '' }, 1)
  const { handle: _handle, ...identity } = event
  return encodeEvent({ ...identity, time: '' }, 1)
}

function nameOf(frame: Uint8Array): string {
  const { type, did, rev } = peekFrame(frame)
  return [type, did, rev].join(' ')
}

/**
 * Has a relay follow these hosts.
 *
 * @throws {Error} when it refuses to
 */
export async function crawlHosts(
  { relay, signal, crawl }: Omit<RelayProbeOptions, 'open'>,
  hostnames: readonly string[],
): Promise<void> {
  const requestCrawl = async (hostname: string): Promise<void> => {
    const response = await fetch(new URL('/xrpc/com.atproto.sync.requestCrawl', relay), {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ hostname }),
      signal,
    })
    if (!response.ok) throw new Error(`crawl refused; answer=${await response.text()}`)
  }
  for (const hostname of hostnames) await (crawl ?? requestCrawl)(hostname)
}

/** The first frame that a relay sends to who asks with this cursor; `undefined` when none comes or it hangs up. */
export async function firstFrame(
  { relay, open, signal, patienceMs = DEFAULT_PATIENCE_MS }: RelayProbeOptions,
  cursor: number,
): Promise<Uint8Array | undefined> {
  const left = new AbortController()
  const patience = AbortSignal.any([signal, left.signal, AbortSignal.timeout(patienceMs)])
  try {
    for await (const frame of open(streamUrl(relay, SUBSCRIBE_REPOS, cursor), {
      signal: patience,
      maxFrameBytes: MAX_FRAME_BYTES,
      highWaterBytes: MAX_FRAME_BYTES,
    })) {
      return frame
    }
  } catch (error) {
    if (!patience.aborted && !(error instanceof FirehoseError)) throw error
  } finally {
    left.abort()
  }
  return undefined
}
