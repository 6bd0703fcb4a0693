import { encodeCbor } from '../encode-cbor.ts'
import { type Cid, cidForCbor } from '../cid.ts'
import { HeadMovedError } from '../errors.ts'
import type {
  EventEncoder,
  RecordPut,
  RepoChange,
  RepoHead,
  RepoStore,
  StagedChange,
} from '../repo-store.ts'
import type { MemoryEventSink } from './event-sink.ts'

/** Checks one rule on an empty store. */
export type StoreRule = readonly [
  name: string,
  run: (store: RepoStore, sink: MemoryEventSink) => Promise<void>,
]

export const ALICE = 'did:plc:alicealicealicealicealic'
export const BOB = 'did:web:bob.example.com'

export function check(condition: boolean, what: string): void {
  if (!condition) throw new Error(`store rule broken: ${what}`)
}

export function checkEqual(actual: unknown, expected: unknown, what: string): void {
  const [a, b] = [JSON.stringify(actual), JSON.stringify(expected)]
  if (a !== b) throw new Error(`store rule broken: ${what}; expected=${b} actual=${a}`)
}

export async function checkMoved(run: Promise<void>): Promise<void> {
  const error: unknown = await run.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  check(error instanceof HeadMovedError, 'a commit on another head is HeadMovedError')
}

export function block(n: number): { readonly cid: Cid; readonly bytes: Uint8Array } {
  const bytes = encodeCbor({ n })
  return { cid: cidForCbor(bytes), bytes }
}

export function headOf(did: string, n: number): RepoHead {
  const { cid, bytes } = block(1_000_000 + n)
  return { did, rev: revOf(n), commit: cid, data: block(n).cid, bytes }
}

export function revOf(n: number): string {
  const digits = String(n)
    .padStart(11, '0')
    .replace(/\d/g, (digit) => 'abcdefghij'.charAt(Number(digit)))
  return `3k${digits}`
}

export function recordOf(
  collection: string,
  rkey: string,
  n: number,
  blobs: readonly Cid[] = [],
): RecordPut {
  return { collection, rkey, ...block(n), blobs }
}

export type Extras = Partial<Omit<RepoChange, 'did' | 'head' | 'previous'>>

export function change(
  did: string,
  n: number,
  previous: number | null,
  extras: Extras = {},
): RepoChange {
  return {
    did,
    previous: previous === null ? null : headOf(did, previous).commit,
    head: headOf(did, n),
    putNodes: [],
    deleteNodes: [],
    putRecords: [],
    deleteRecords: [],
    ...extras,
  }
}

export function staged(
  n: number,
  previous: number | null,
  extras: Partial<StagedChange> = {},
  did: string = ALICE,
): StagedChange {
  return {
    previous: previous === null ? null : headOf(did, previous).commit,
    head: headOf(did, n),
    putNodes: [],
    putRecords: [],
    ...extras,
  }
}

export function event(text: string): EventEncoder {
  return (seq) => new TextEncoder().encode(`${seq}:${text}`)
}
