import type { Cid } from './cid.ts'

/** Creates a record; the path must be free. */
export interface CreateWrite {
  readonly action: 'create'
  readonly collection: string
  readonly rkey: string
  /** A data-model value: a plain object whose `$type` is the collection. */
  readonly record: Readonly<Record<string, unknown>>
}

/** Replaces a record (`update`: it must exist; `put`: it is created when it does not). */
export interface UpdateWrite {
  readonly action: 'update' | 'put'
  readonly collection: string
  readonly rkey: string
  readonly record: Readonly<Record<string, unknown>>
  /** What the record must be now; null: it must not exist. Absent: anything. */
  readonly swapRecord?: Cid | null | undefined
}

/** Deletes a record; it must exist. */
export interface DeleteWrite {
  readonly action: 'delete'
  readonly collection: string
  readonly rkey: string
  /** What the record must be now. Absent: anything. */
  readonly swapRecord?: Cid | undefined
}

/** One change of a batch. */
export type RepoWrite = CreateWrite | UpdateWrite | DeleteWrite

/** What became of one write of a batch. */
export interface AppliedWrite {
  /** What happened; `none` when the record already had this content. */
  readonly action: 'create' | 'update' | 'delete' | 'none'
  readonly collection: string
  readonly rkey: string
  readonly path: string
  /** The record's CID now; null after a delete. */
  readonly cid: Cid | null
}
