import { untilAborted } from '../abort.ts'
import { PlcRequestFailedError } from '../errors.ts'
import type { PlcStore, SequencedPlcEntry } from './store.ts'

/** Entries read from the store at a time. */
const PAGE_ENTRIES = 100

/** Options of {@link PlcDirectory.exportStream}. */
export interface PlcStreamOptions {
  /** Last seq the reader has seen. Without it, entries from now on. */
  readonly cursor?: number | undefined
  /** Ends the stream, without an error. */
  readonly signal?: AbortSignal
}

/** What a stream reads from. */
export interface PlcStreamSource {
  readonly store: PlcStore
  /** ISO time before which entries are no longer streamed. */
  readonly oldest: string
  /** Resolves when the next entry was appended. */
  readonly nextAppend: () => Promise<void>
}

/**
 * Entries after a cursor as lines of JSON, and then the ones that come. Reads as fast as it is read from.
 * @throws {PlcRequestFailedError} with `reason` `FutureCursor` or `OutdatedCursor`
 */
export async function* streamExport(
  { store, oldest, nextAppend }: PlcStreamSource,
  { cursor, signal = new AbortController().signal }: PlcStreamOptions,
): AsyncGenerator<string, void, void> {
  const last = await store.lastSeq()
  if (cursor !== undefined) {
    if (cursor > last) throw new PlcRequestFailedError(400, 'FutureCursor')
    const [next] = await store.exportAfterSeq(cursor, 1)
    if (next !== undefined && next.createdAt < oldest)
      throw new PlcRequestFailedError(400, 'OutdatedCursor')
  }
  let seen = cursor ?? last
  while (!signal.aborted) {
    // Asked for before reading, so that what is appended meanwhile is not slept through.
    const appended = nextAppend()
    const page = await store.exportAfterSeq(seen, PAGE_ENTRIES)
    for (const entry of page) {
      if (signal.aborted) return
      yield JSON.stringify(sequencedLine(entry))
      seen = entry.seq
    }
    if (page.length === 0) {
      // The loop's condition sees an abort.
      await untilAborted(appended, signal).catch(() => undefined)
    }
  }
}

/** An entry as `/export` by seq and `/export/stream` give it. */
export function sequencedLine(entry: SequencedPlcEntry): object {
  const { did, operation, cid, createdAt, seq } = entry
  return { type: 'sequenced_op', seq, did, operation, cid, createdAt }
}
