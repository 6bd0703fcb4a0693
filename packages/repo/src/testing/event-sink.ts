import type { EventEncoder, EventSink } from '../repo-store.ts'

/** One event as {@link MemoryEventSink} kept it. */
export interface SunkEvent {
  readonly seq: number
  readonly did: string
  readonly bytes: Uint8Array
}

/** An event sink that lives in memory and shows what became durable. */
export class MemoryEventSink implements EventSink {
  /** Events of transactions that were committed, in order. */
  readonly durable: SunkEvent[] = []
  /** How often the sink was told of a failed transaction. */
  rollbacks = 0
  private pending: SunkEvent[] = []

  append(did: string, encode: EventEncoder): number {
    const seq = this.durable.length + this.pending.length + 1
    this.pending.push({ seq, did, bytes: encode(seq) })
    return seq
  }

  committed(): void {
    this.durable.push(...this.pending)
    this.pending = []
  }

  rolledBack(): void {
    this.rollbacks++
    this.pending = []
  }
}
