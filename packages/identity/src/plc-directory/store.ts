import type { PlcLogEntry } from '../plc/operation.ts'

/** An accepted entry with its place in the directory's sequence. */
export interface SequencedPlcEntry extends PlcLogEntry {
  readonly seq: number
}

/** Where a directory keeps operations. Each method is atomic. */
export interface PlcStore {
  /** Every entry of a DID, oldest first, nullified ones too. */
  entries(did: string): readonly SequencedPlcEntry[]
  /** Adds an entry after `expectedLength` entries and marks others nullified, or does nothing and answers false. */
  append(
    entry: PlcLogEntry,
    change: { readonly expectedLength: number; readonly nullify: readonly string[] },
  ): boolean
  /** Entries after a seq, in order. */
  exportAfterSeq(after: number, count: number): readonly SequencedPlcEntry[]
  /** Entries accepted after a time, by time and CID. */
  exportAfterTime(after: string | undefined, count: number): readonly SequencedPlcEntry[]
}
