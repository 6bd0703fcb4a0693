import type { Cid } from './cid.ts'

/** The current commit of one repo. */
export interface RepoHead {
  readonly did: string
  /** TID of the commit. */
  readonly rev: string
  /** CID of the signed commit object. */
  readonly commit: Cid
  /** CID of the MST root. */
  readonly data: Cid
  /** The signed commit object, encoded. */
  readonly bytes: Uint8Array
}

/** An encoded block with its CID. */
export interface Block {
  readonly cid: Cid
  readonly bytes: Uint8Array
}

/** One MST node as a store keeps it. */
export interface StoredNode {
  readonly bytes: Uint8Array
  /** Rev of the commit that added it; it has been part of every tree since. */
  readonly rev: string
}

/** One record as a store keeps it. */
export interface StoredRecord {
  readonly collection: string
  readonly rkey: string
  readonly cid: Cid
  /** The record's own bytes, as they are hashed. */
  readonly bytes: Uint8Array
  /** Rev of the commit that wrote it. */
  readonly rev: string
}

/** A record to write, with the blobs it references. */
export interface RecordPut {
  readonly collection: string
  readonly rkey: string
  readonly cid: Cid
  readonly bytes: Uint8Array
  /** CIDs of the blobs the record references, each once; they replace those of the record's former version. */
  readonly blobs: readonly Cid[]
}

/** Names one record. */
export interface RecordKey {
  readonly collection: string
  readonly rkey: string
}

/** One commit, complete: a store applies all of it or nothing. */
export interface RepoChange {
  readonly did: string
  /** CID of the commit this one follows; null when the repo must not exist yet. Anything else in the store is {@link HeadMovedError}. */
  readonly previous: Cid | null
  readonly head: RepoHead
  /** New MST nodes. */
  readonly putNodes: readonly Block[]
  /** MST nodes of the previous tree that are not in the new one. */
  readonly deleteNodes: readonly Cid[]
  readonly putRecords: readonly RecordPut[]
  readonly deleteRecords: readonly RecordKey[]
  /** Encoders of the events this commit puts on the stream, appended in order inside the same transaction. */
  readonly events?: readonly EventEncoder[]
}

/** The commit that makes staged content the repo's. */
export type StagedChange = Pick<
  RepoChange,
  'previous' | 'head' | 'putNodes' | 'putRecords' | 'events'
>

/**
 * A place for the whole new content of a repo, put there piece by piece. Nobody sees any of it before {@link RepoStage.commit},
 * and when the process dies before that, nobody ever will: the store removes what is left.
 */
export interface RepoStage {
  /** Keeps blocks that came before they were needed. They never become part of the repo by themselves. */
  putBlocks(blocks: readonly Block[]): Promise<void>
  /** What {@link RepoStage.putBlocks} kept, in the order asked; undefined where absent. */
  getBlocks(cids: readonly Cid[]): Promise<readonly (Uint8Array | undefined)[]>
  /**
   * Adds nodes and records to the new content.
   *
   * @throws {HeadMovedError} when the stage is gone: another one of the account was opened, the repo was deleted, or the
   * store took it for abandoned.
   */
  put(nodes: readonly Block[], records: readonly RecordPut[]): Promise<void>
  /**
   * Makes what was put, with the last nodes and records of the change, the repo's only content, in one transaction that
   * sets head and events too and is as short for a large repo as for a small one. Every node and record has the head's rev
   * then. Durable when the promise resolves.
   *
   * @throws {HeadMovedError} when the head is not `change.previous`, which may be tried again, or the stage is gone.
   * @throws whatever the event sink throws; nothing is changed.
   */
  commit(change: StagedChange): Promise<void>
  /** Removes what was put and not committed, and what a commit replaced. Must be called; does not reject. */
  close(): Promise<void>
}

/** Makes the encoded event for the sequence number it is given; called synchronously, at most a few times. */
export type EventEncoder = (seq: number) => Uint8Array

/** Where a store appends the events of a commit, inside its own transaction. Event logs of `@skywright/firehose` implement it. */
export interface EventSink {
  /** Assigns the next sequence number, encodes and appends; called synchronously inside the store's open transaction. Gives the number. */
  append(did: string, encode: EventEncoder): number
  /** The transaction that appended is durable: subscribers may be woken. Must not throw: it is too late to refuse. */
  committed(): void
  /** The transaction that appended failed: the appended events never existed. */
  rolledBack(): void
}

/** Which records of a collection to list, and in which order. */
export interface ListRecordsOptions {
  /** Most records to give. @defaultValue 50 */
  readonly limit?: number
  /** Give only records whose rkey is beyond this one in the listing's direction (exclusive). */
  readonly cursor?: string
  /** From the highest rkey down. @defaultValue false: from the lowest up */
  readonly reverse?: boolean
}

/** Which rows to page through: those above `cursor`, at most `limit`. */
export interface PageOptions {
  /** @defaultValue 500 */
  readonly limit?: number
  /** Exclusive lower bound; the last key of the former page. */
  readonly cursor?: string
}

/** A frozen view of one repo, for exports that take long while writes go on. */
export interface RepoSnapshot {
  readonly head: RepoHead
  /** MST nodes in the order asked; undefined where absent. */
  getNodes(cids: readonly Cid[]): Promise<readonly (StoredNode | undefined)[]>
  /** Records in the order asked; undefined where absent. */
  getRecords(keys: readonly RecordKey[]): Promise<readonly (StoredRecord | undefined)[]>
  /** Releases the view. Must be called. */
  close(): Promise<void>
}

/**
 * Where repos live. Reads are single look-ups or index ranges. A repo changes through {@link RepoStore.commit} or, as a whole,
 * through a {@link RepoStage}; either is one transaction.
 *
 * Blocks are scoped by DID: no read of one account ever gives a block of another.
 */
export interface RepoStore {
  /** The repo's current commit; undefined when the store has no such repo. */
  getHead(did: string): Promise<RepoHead | undefined>
  /** MST nodes in the order asked; undefined where absent. */
  getNodes(did: string, cids: readonly Cid[]): Promise<readonly (StoredNode | undefined)[]>
  getRecord(did: string, collection: string, rkey: string): Promise<StoredRecord | undefined>
  /** Records of one collection by rkey, an index range. */
  listRecords(
    did: string,
    collection: string,
    options?: ListRecordsOptions,
  ): Promise<readonly StoredRecord[]>
  /** Collections with at least one record, sorted. */
  listCollections(did: string): Promise<readonly string[]>
  /** Number of records. */
  countRecords(did: string): Promise<number>
  /** CIDs (as text, sorted) of blobs that records reference, each once; with `since` only those of records written above that rev. */
  listBlobs(
    did: string,
    options?: PageOptions & { readonly since?: string },
  ): Promise<readonly string[]>
  /** Records that reference the blob. */
  blobReferences(did: string, blob: Cid): Promise<readonly RecordKey[]>
  /** Heads of all repos, sorted by DID. */
  listHeads(options?: PageOptions): Promise<readonly RepoHead[]>
  /** Opens a frozen view; undefined when the store has no such repo. */
  snapshot(did: string): Promise<RepoSnapshot | undefined>
  /**
   * Applies one commit: nodes, records, blob links, head and events in one transaction, durable when the promise resolves.
   *
   * @throws {HeadMovedError} when the head is not `change.previous`; nothing is written.
   * @throws whatever the event sink throws; nothing is written.
   */
  commit(change: RepoChange): Promise<void>
  /** Opens a place for a repo's new content; once something is put into it, earlier ones of the account are gone. */
  stage(did: string): RepoStage
  /** Removes a repo and everything of it, open stages included; gives whether there was one. */
  deleteRepo(did: string, options?: { readonly events?: readonly EventEncoder[] }): Promise<boolean>
  close(): Promise<void>
}
