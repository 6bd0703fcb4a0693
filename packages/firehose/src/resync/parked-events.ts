import type { CommitEvent, SyncEvent } from '../event.ts'

interface Parked {
  readonly event: CommitEvent | SyncEvent
  readonly bytes: number
}

/** Live events that wait for their repositories to be fetched, in order; bounded for each account and for all. */
export class ParkedEvents {
  private readonly maxEvents: number
  private readonly maxBytes: number
  private readonly lots = new Map<string, Parked[]>()
  private bytes = 0

  /** @param maxEvents of one account. @param maxBytes of all together. */
  constructor(maxEvents: number, maxBytes: number) {
    this.maxEvents = maxEvents
    this.maxBytes = maxBytes
  }

  /** Holds an event behind those of its account. @returns `false` when there is no room: it is not held. */
  hold(event: CommitEvent | SyncEvent, bytes: number): boolean {
    const lot = this.lots.get(event.did) ?? []
    if (lot.length >= this.maxEvents || this.bytes + bytes > this.maxBytes) return false
    lot.push({ event, bytes })
    this.bytes += bytes
    this.lots.set(event.did, lot)
    return true
  }

  /** The event of an account that waits longest. */
  first(did: string): CommitEvent | SyncEvent | undefined {
    return this.lots.get(did)?.[0]?.event
  }

  /** That one was handled. */
  passed(did: string): void {
    const lot = this.lots.get(did)
    this.bytes -= lot?.shift()?.bytes ?? 0
    if (lot?.length === 0) this.lots.delete(did)
  }

  /** Lets go of everything of an account. */
  drop(did: string): void {
    for (const { bytes } of this.lots.get(did) ?? []) this.bytes -= bytes
    this.lots.delete(did)
  }
}
