import type { Clock } from '../timer.ts'

/** Limits how much is asked of one host at a time, and leaves alone a host that asked for it. */
export class HostSlots {
  private readonly perHost: number
  private readonly clock: Clock
  private readonly used = new Map<string, number>()
  private readonly pausedUntil = new Map<string, number>()
  private waiting: (() => void)[] = []

  constructor(perHost: number, clock: Clock) {
    this.perHost = perHost
    this.clock = clock
  }

  /** Resolves with a release function once the host may be asked. */
  async take(host: string, signal: AbortSignal): Promise<() => void> {
    for (;;) {
      signal.throwIfAborted()
      const pause = (this.pausedUntil.get(host) ?? 0) - this.clock.now()
      if (pause > 0) await this.clock.sleep(pause, signal)
      else if ((this.used.get(host) ?? 0) < this.perHost) break
      else await this.freed(signal)
    }
    this.used.set(host, (this.used.get(host) ?? 0) + 1)
    return () => {
      const left = (this.used.get(host) ?? 1) - 1
      if (left === 0) this.used.delete(host)
      else this.used.set(host, left)
      const { waiting } = this
      this.waiting = []
      for (const wake of waiting) wake()
    }
  }

  /** The host wants to be left alone for so long. */
  pause(host: string, ms: number): void {
    this.pausedUntil.set(host, Math.max(this.pausedUntil.get(host) ?? 0, this.clock.now() + ms))
  }

  private freed(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      this.waiting.push(resolve)
      signal.addEventListener('abort', () => resolve(), { once: true })
    })
  }
}
