import type { Clock } from '../timer.ts'

/** Who may wait for one host. */
const MAX_WAITING = 1_000

interface Host {
  used: number
  paused: boolean
  readonly waiting: (() => void)[]
}

/** Limits how much is asked of one host at a time, and leaves alone a host that asked for it. */
export class HostSlots {
  private readonly perHost: number
  private readonly clock: Clock
  private readonly signal: AbortSignal
  /** Hosts asked now, or left alone. */
  private readonly hosts = new Map<string, Host>()

  constructor(perHost: number, clock: Clock, signal: AbortSignal) {
    this.perHost = perHost
    this.clock = clock
    this.signal = signal
  }

  /** A release function when the host may be asked now. */
  take(name: string): (() => void) | undefined {
    const host = this.hosts.get(name) ?? { used: 0, paused: false, waiting: [] }
    if (host.paused || host.used >= this.perHost) return undefined
    this.hosts.set(name, host)
    host.used++
    return () => {
      host.used--
      this.next(name, host)
    }
  }

  /** Calls back when it is worth while to ask again. @returns `false` when too many wait for the host already. */
  wait(name: string, wake: () => void): boolean {
    const host = this.hosts.get(name)
    if (host === undefined) {
      wake()
      return true
    }
    if (host.waiting.length >= MAX_WAITING) return false
    host.waiting.push(wake)
    return true
  }

  /** The host, which is being asked, wants to be left alone for so long. */
  pause(name: string, ms: number): void {
    const host = this.hosts.get(name)
    if (host === undefined || host.paused) return
    host.paused = true
    const resume = (): void => {
      host.paused = false
      for (let i = 0; i < this.perHost; i++) this.next(name, host)
    }
    // The end of everything is nothing to be told of.
    this.clock.sleep(ms, this.signal).then(resume, () => undefined)
  }

  private next(name: string, host: Host): void {
    if (host.paused) return
    // With nobody under way there is no release to come: should this one change its mind, all have to know.
    const woken = host.waiting.splice(0, host.used === 0 ? host.waiting.length : 1)
    if (host.used === 0) this.hosts.delete(name)
    for (const wake of woken) wake()
  }
}
