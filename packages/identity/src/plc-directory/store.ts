import type { PlcLogEntry } from '../plc/operation.ts'

/** An accepted entry with its place in the directory's sequence. */
export interface SequencedPlcEntry extends PlcLogEntry {
  /** 1 and up, in order of acceptance. */
  readonly seq: number
}

/** What {@link PlcStore.append} changes besides adding. */
export interface PlcAppendChange {
  /** Entries the DID must have before the append, nullified ones too; otherwise nothing happens. */
  readonly expectedLength: number
  /** CIDs of this DID's entries to mark as nullified. */
  readonly nullify: readonly string[]
}

/** A value now or later. */
export type MaybePromise<T> = T | Promise<T>

/** Where a directory keeps operations. Every method is atomic. */
export interface PlcStore {
  /** Every entry of a DID, oldest first, nullified ones too. */
  entries(did: string): MaybePromise<readonly SequencedPlcEntry[]>
  /** Adds an entry in one transaction with its change; answers its seq, or `undefined` when the DID has moved on. */
  append(entry: PlcLogEntry, change: PlcAppendChange): MaybePromise<number | undefined>
  /** Entries with a seq above `after`, in order of seq, at most `count`. */
  exportAfterSeq(after: number, count: number): MaybePromise<readonly SequencedPlcEntry[]>
  /**
   * Entries accepted after an ISO time (all, without one), by time and then CID: `count` of them, and the others that
   * have the time of the last one, so that whoever asks for what came after it misses none.
   */
  exportAfterTime(
    after: string | undefined,
    count: number,
  ): MaybePromise<readonly SequencedPlcEntry[]>
  /** Highest seq given; 0 when empty. */
  lastSeq(): MaybePromise<number>
}
