import { timerDelay } from '../backoff.ts'

/** How long a repo waits for its turn at a host before another host's repo may have its place in the index. */
const PATIENCE_MS = 1_000
/** How long it then stays away. */
const AWAY_MS = 5_000
/** Longest a host may ask to be left alone. */
const MAX_PAUSE_MS = 3_600_000
/** Hosts remembered. */
const MAX_HOSTS = 10_000

interface Host {
  used: number
  pausedUntil: number
  readonly waiting: Set<() => void>
}

/** Limits how much is asked of one host at a time, and leaves alone a host that asked for it. */
export class HostGate {
  readonly #perHost: number
  readonly #now: () => number
  readonly #hosts = new Map<string, Host>()

  /** @throws {RangeError} when nothing could ever be asked */
  constructor(perHost: number, now: () => number) {
    if (!Number.isInteger(perHost) || perHost < 1)
      throw new RangeError(`perHost must be a whole number above zero, not ${perHost}`)
    this.#perHost = perHost
    this.#now = now
  }

  /**
   * A turn at the host, to be disposed of; or for how many milliseconds to stay away.
   *
   * @throws the signal's reason when it aborts
   */
  async enter(name: string, signal: AbortSignal): Promise<Disposable | number> {
    const host = this.#host(name)
    const pauseMs = this.#pauseOf(host)
    if (pauseMs > 0) return pauseMs
    if (host.used < this.#perHost) host.used++
    else if (!(await handedOn(host, signal))) return AWAY_MS
    // It may have asked to be left alone since.
    const laterMs = this.#pauseOf(host)
    if (laterMs <= 0) return { [Symbol.dispose]: () => leave(host) }
    leave(host)
    return laterMs
  }

  /** The host wants to be left alone for so long. @returns how long it is */
  pause(name: string, ms: number): number {
    const pauseMs = Math.min(ms, MAX_PAUSE_MS)
    const host = this.#host(name)
    host.pausedUntil = Math.max(host.pausedUntil, this.#now() + pauseMs)
    return pauseMs
  }

  #pauseOf({ pausedUntil }: Host): number {
    return pausedUntil - this.#now()
  }

  #host(name: string): Host {
    const known = this.#hosts.get(name)
    if (known !== undefined) return known
    if (this.#hosts.size >= MAX_HOSTS) this.#forget()
    const host = { used: 0, pausedUntil: 0, waiting: new Set<() => void>() }
    this.#hosts.set(name, host)
    return host
  }

  /** Makes room: by hosts that are not left alone any more, or else by the one known longest. */
  #forget(): void {
    const idle = [...this.#hosts].filter(([, { used }]) => used === 0)
    const over = idle.filter(([, { pausedUntil }]) => pausedUntil <= this.#now())
    for (const [name] of over.length > 0 ? over : idle.slice(0, 1)) this.#hosts.delete(name)
  }
}

/** Ends a turn: it is handed on where somebody waits. */
function leave(host: Host): void {
  const [next] = host.waiting
  if (next !== undefined) next()
  else host.used--
}

/** Whether somebody's turn was handed on in time. */
async function handedOn({ waiting }: Host, signal: AbortSignal): Promise<boolean> {
  const done = new AbortController()
  let handed = false
  const take = (): void => {
    handed = true
    waiting.delete(take)
    done.abort()
  }
  waiting.add(take)
  try {
    await timerDelay(PATIENCE_MS, AbortSignal.any([signal, done.signal]))
  } catch {
    // Its turn came, or everything ends.
  }
  waiting.delete(take)
  if (!handed) signal.throwIfAborted()
  return handed
}
