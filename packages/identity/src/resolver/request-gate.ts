import { ResolutionFailedError } from '../errors.ts'
import type { ResolutionStep } from '../errors.ts'

/** How hard others may be asked. */
export interface RequestLimits {
  /** Requests under way to one directory, or to the names below one domain (the last two labels). */
  readonly maxConcurrentPerHost: number
  /** Requests under way in all, counted for directories, DNS and the web each. */
  readonly maxConcurrent: number
  /** Requests started to one of those in one second. */
  readonly maxPerSecondPerHost: number
  /** Lookups that may wait for their turn; one more fails at once. */
  readonly maxWaiting: number
}

/** What is asked of others unless told otherwise. */
export const DEFAULT_REQUEST_LIMITS: RequestLimits = {
  maxConcurrentPerHost: 20,
  maxConcurrent: 200,
  maxPerSecondPerHost: 500,
  maxWaiting: 10_000,
}

const SECOND_MS = 1000
/** Hosts whose counts are kept; beyond, the idle ones are forgotten. */
const MAX_HOSTS = 10_000

interface Host {
  active: number
  waiting: number
  /** When the current second began, and what was started in it. */
  windowStartMs: number
  started: number
}

interface Waiter {
  readonly host: string
  readonly start: () => void
}

/** Lets requests through a few at a time, in order of arrival per host. */
export class RequestGate {
  readonly #limits: RequestLimits
  readonly #now: () => number
  readonly #hosts = new Map<string, Host>()
  readonly #waiting = new Set<Waiter>()
  #active = 0
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor(limits: RequestLimits, now: () => number = () => performance.now()) {
    this.#limits = limits
    this.#now = now
  }

  /** Requests that wait for their turn. */
  get waiting(): number {
    return this.#waiting.size
  }

  /**
   * Runs `work` when it is its turn.
   * @throws {ResolutionFailedError} (retryable) when too many wait already
   */
  async run<T>(
    host: string,
    step: ResolutionStep,
    signal: AbortSignal,
    work: () => Promise<T>,
  ): Promise<T> {
    signal.throwIfAborted()
    // Not past those who wait already.
    const queued = (this.#hosts.get(host)?.waiting ?? 0) > 0
    if (queued || !this.#tryStart(host)) await this.#wait(host, step, signal)
    try {
      return await work()
    } finally {
      this.#finish(host)
    }
  }

  #wait(host: string, step: ResolutionStep, signal: AbortSignal): Promise<void> {
    if (this.#waiting.size >= this.#limits.maxWaiting) {
      throw new ResolutionFailedError(host, step, 'too many lookups wait', { retryable: true })
    }
    return new Promise((resolve, reject) => {
      const abort = (): void => {
        this.#leave(waiter)
        reject(signal.reason)
      }
      const waiter: Waiter = {
        host,
        start: () => {
          signal.removeEventListener('abort', abort)
          resolve()
        },
      }
      signal.addEventListener('abort', abort, { once: true })
      this.#waiting.add(waiter)
      this.#hostOf(host).waiting++
      this.#schedule()
    })
  }

  #leave(waiter: Waiter): void {
    this.#waiting.delete(waiter)
    this.#hostOf(waiter.host).waiting--
  }

  #hostOf(name: string): Host {
    let host = this.#hosts.get(name)
    if (host === undefined) {
      host = { active: 0, waiting: 0, windowStartMs: this.#now(), started: 0 }
      this.#hosts.set(name, host)
      if (this.#hosts.size > MAX_HOSTS) this.#forgetIdle(name)
    }
    return host
  }

  #tryStart(name: string): boolean {
    const { maxConcurrent, maxConcurrentPerHost, maxPerSecondPerHost } = this.#limits
    if (this.#active >= maxConcurrent) return false
    const nowMs = this.#now()
    const host = this.#hostOf(name)
    if (nowMs - host.windowStartMs >= SECOND_MS) {
      host.windowStartMs = nowMs
      host.started = 0
    }
    if (host.active >= maxConcurrentPerHost || host.started >= maxPerSecondPerHost) return false
    host.active++
    host.started++
    this.#active++
    return true
  }

  #finish(name: string): void {
    this.#active--
    const host = this.#hosts.get(name)
    if (host !== undefined) host.active--
    this.#startWaiting()
  }

  #startWaiting(): void {
    const full = new Set<string>()
    for (const waiter of this.#waiting) {
      if (this.#active >= this.#limits.maxConcurrent) break
      if (full.has(waiter.host)) continue
      if (this.#tryStart(waiter.host)) {
        this.#leave(waiter)
        waiter.start()
      } else {
        full.add(waiter.host)
      }
    }
    this.#schedule()
  }

  /** Whoever waits for a new second needs a timer: no request will end and wake it. */
  #schedule(): void {
    if (this.#waiting.size === 0 || this.#timer !== undefined) return
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      this.#startWaiting()
    }, SECOND_MS)
  }

  #forgetIdle(except: string): void {
    for (const [name, { active, waiting }] of this.#hosts) {
      if (active === 0 && waiting === 0 && name !== except) this.#hosts.delete(name)
    }
  }
}
