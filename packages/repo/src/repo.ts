import { buildCommit, type BuiltCommit, buildTreeBlocks, type TreeBlocks } from './build-commit.ts'
import { type Cid, cidKey, equalCids } from './cid.ts'
import type { Commit } from './commit.ts'
import { editTree, type TreeEdit } from './edit-tree.ts'
import {
  HeadMovedError,
  InvalidSwapError,
  InvalidSyntaxError,
  MissingBlockError,
  RecordExistsError,
  RecordNotFoundError,
  RepoExistsError,
  RepoNotFoundError,
} from './errors.ts'
import { exportRepo, type ExportOptions } from './export.ts'
import { emptyTree } from './mst/node.ts'
import type { PreparedWrite } from './prepare-writes.ts'
import { prepareWrites } from './prepare-writes.ts'
import { buildRecordProof } from './record-proof.ts'
import type {
  EventEncoder,
  ListRecordsOptions,
  RepoHead,
  RepoStore,
  StoredRecord,
} from './repo-store.ts'
import type { Signer } from './signer.ts'
import { StoredTree } from './stored-tree.ts'
import { createTidClock, type TidClock } from './tid.ts'
import type { AppliedWrite, RepoWrite } from './writes.ts'
import { isValidDid } from '@atproto/syntax'

/** Makes the events of a commit that is about to be stored; they are appended in order, in the commit's own transaction. */
export type CommitEvents = (commit: Commit) => readonly EventEncoder[]

/** Options of {@link Repo.create} and {@link Repo.open}. */
export interface RepoOptions {
  readonly did: string
  readonly signer: Signer
  /** Where revs come from. @defaultValue a clock of this object */
  readonly clock?: TidClock
  /** Events of every commit this object makes, unless a call brings its own. @defaultValue none */
  readonly events?: CommitEvents
}

/** Options of one batch of writes. */
export interface ApplyWritesOptions {
  /** CID of the commit the repo must be at. Then a concurrent writer means {@link InvalidSwapError} instead of another attempt. */
  readonly swapCommit?: Cid | undefined
  /** Events of this commit. @defaultValue {@link RepoOptions.events} */
  readonly events?: CommitEvents
}

/** What a batch of writes did. */
export interface ApplyWritesResult {
  /** The commit; undefined when every record already had its content: then nothing was written and the rev did not move. */
  readonly commit: Commit | undefined
  /** One entry for each write, in the order given. */
  readonly writes: readonly AppliedWrite[]
}

/** How often a batch is computed anew because other writers were faster, before {@link HeadMovedError} is passed on. */
const MAX_ATTEMPTS = 64
/** Nodes kept in memory between writes; beyond, the tree is loaded afresh. About 1 KB each. */
const MAX_CACHED_NODES = 8192

interface State {
  readonly head: RepoHead
  readonly tree: StoredTree
}

/**
 * A writable repository in a {@link RepoStore}.
 *
 * Writes of one object are applied one after the other. Several objects and processes may write the same repo: a commit
 * compares and sets the head, and a batch without `swapCommit` is computed anew when somebody else was faster.
 * A commit is durable, with its events, when its promise resolves; when it rejects, nothing was written.
 */
export class Repo {
  readonly did: string
  private readonly store: RepoStore
  private readonly signer: Signer
  private readonly clock: TidClock
  private readonly events: CommitEvents | undefined
  private state: State | undefined
  private last: Promise<unknown> = Promise.resolve()

  private constructor(store: RepoStore, options: RepoOptions) {
    const { did, signer, clock = createTidClock(), events } = options
    if (!isValidDid(did)) throw new InvalidSyntaxError('did', did, 'not a did')
    this.did = did
    this.store = store
    this.signer = signer
    this.clock = clock
    this.events = events
  }

  /**
   * Creates an empty repo with its first commit.
   *
   * @throws {RepoExistsError} when the store has one of this DID.
   * @throws {InvalidSyntaxError} when the DID is malformed.
   */
  static async create(
    store: RepoStore,
    options: RepoOptions,
  ): Promise<{ readonly repo: Repo; readonly commit: Commit }> {
    const repo = new Repo(store, options)
    const root = emptyTree()
    const tree = StoredTree.of(store, repo.did, root)
    const blocks = buildTreeBlocks(tree.loader, undefined, root, [])
    const rev = repo.clock.next()
    const parts = { did: repo.did, rev, previous: undefined, tree: blocks, ops: [], writes: [] }
    const built = await buildCommit(parts, repo.signer)
    try {
      await store.commit(built.change(options.events?.(built.commit) ?? []))
    } catch (cause) {
      if (cause instanceof HeadMovedError) throw new RepoExistsError(repo.did, { cause })
      throw cause
    }
    root.stored = true
    repo.state = { head: headOf(built.commit), tree }
    return { repo, commit: built.commit }
  }

  /**
   * Opens an existing repo.
   *
   * @throws {RepoNotFoundError} when the store has none of this DID.
   */
  static async open(store: RepoStore, options: RepoOptions): Promise<Repo> {
    const repo = new Repo(store, options)
    await repo.head()
    return repo
  }

  /**
   * The current head, as the store has it.
   *
   * @throws {RepoNotFoundError} when the repo is gone.
   */
  async head(): Promise<RepoHead> {
    const head = await this.store.getHead(this.did)
    if (head === undefined) throw new RepoNotFoundError(this.did)
    return head
  }

  /**
   * Applies a batch as one commit, all or nothing.
   *
   * @throws {InvalidWriteError} when the batch is empty, has two writes on one path, or a record is no object of its collection.
   * @throws {InvalidSyntaxError} when a collection or record key is malformed.
   * @throws {InvalidCborError} when a record cannot be encoded; {@link InvalidDataError} when it holds a malformed blob.
   * @throws {LimitExceededError} when the batch passes 200 operations, a record 1,000,000 bytes or the commit 2,000,000 bytes of
   * blocks, or when keys were chosen so that more of them lie in one node of the tree than anybody reads.
   * @throws {RecordExistsError} when a create names a record that exists.
   * @throws {RecordNotFoundError} when an update or delete names one that does not.
   * @throws {InvalidSwapError} when `swapCommit` or a `swapRecord` is not what the repo holds.
   * @throws {HeadMovedError} when other writers kept being faster.
   */
  async applyWrites(
    writes: readonly RepoWrite[],
    options: ApplyWritesOptions = {},
  ): Promise<ApplyWritesResult> {
    const prepared = prepareWrites(writes)
    return this.enqueue(() =>
      this.attempt(options.swapCommit, (state) => this.tryWrites(state, prepared, options)),
    )
  }

  /**
   * Signs the same data again under a higher rev: after a key rotation or an activation. The object goes on with `signer`
   * only for this commit; open a new one to keep it.
   */
  async resign(
    options: { readonly signer?: Signer; readonly events?: CommitEvents } = {},
  ): Promise<Commit> {
    const { signer = this.signer, events } = options
    return this.enqueue(() =>
      this.attempt(undefined, async (state) => {
        const blocks: TreeBlocks = {
          data: cidKey(state.head.data),
          added: [],
          removed: [],
          slice: new Map(),
        }
        const built = await this.build(
          state,
          { root: state.tree.root, ops: [], applied: [] },
          blocks,
          [],
          signer,
        )
        await this.store.commit(built.change((events ?? this.events)?.(built.commit) ?? []))
        this.advance(built.commit, state.tree)
        return built.commit
      }),
    )
  }

  /** Gives a record; undefined when there is none. */
  async get(collection: string, rkey: string): Promise<StoredRecord | undefined> {
    return this.store.getRecord(this.did, collection, rkey)
  }

  /** Gives records of a collection by rkey, an index range. */
  async list(
    collection: string,
    options: ListRecordsOptions = {},
  ): Promise<readonly StoredRecord[]> {
    return this.store.listRecords(this.did, collection, options)
  }

  /**
   * Gives a CAR that proves one record: the commit, the nodes on the record's path and the record itself, or, where it does
   * not exist, the nodes that prove its absence.
   *
   * @throws {RepoNotFoundError} when the repo is gone.
   * @throws {InvalidSyntaxError} when collection or rkey is malformed.
   */
  async proof(collection: string, rkey: string): Promise<Uint8Array> {
    return buildRecordProof(this.store, this.did, collection, rkey)
  }

  /**
   * Gives the repo as chunks of a CAR in streamable order (commit, then each node before what it points to), of one state
   * whatever is written meanwhile. With `since` only what later commits added; all of it when `since` is not between the
   * first and the current rev. With `collection` only its records, and the nodes that prove that none is left out: read them
   * with {@link Mst.open} and `entries({ prefix })`.
   *
   * @throws {RepoNotFoundError} when the repo is gone.
   * @throws {InvalidSyntaxError} when `collection` is malformed.
   */
  export(options: ExportOptions = {}): AsyncGenerator<Uint8Array, void, void> {
    return exportRepo(this.store, this.did, options)
  }

  private async enqueue<T>(run: () => Promise<T>): Promise<T> {
    const result = this.last.then(run, run)
    this.last = result.catch(() => {})
    return result
  }

  /** Runs one change against the cached state, and again against a fresh one as often as the cached one turns out stale. */
  private async attempt<T>(
    swapCommit: Cid | undefined,
    run: (state: State) => Promise<T>,
  ): Promise<T> {
    for (let attempts = 1; ; attempts++) {
      const cached = this.state
      try {
        const state = await this.load()
        if (swapCommit !== undefined && !equalCids(swapCommit, state.head.commit)) {
          throw new InvalidSwapError('commit', swapCommit.toString(), state.head.commit.toString())
        }
        return await run(state)
      } catch (error) {
        const state = this.state
        this.state = undefined
        if (attempts >= MAX_ATTEMPTS) throw error
        if (error instanceof HeadMovedError) continue
        if (!isAboutState(error) || state === undefined) throw error
        // What the cached state refused may be right by now: only a refusal of the current state counts.
        const head = await this.head()
        if (equalCids(head.commit, state.head.commit)) {
          if (cached !== undefined) this.state = state
          throw error
        }
      }
    }
  }

  private async load(): Promise<State> {
    const cached = this.state
    if (cached !== undefined && cached.tree.loaded <= MAX_CACHED_NODES) return cached
    const head = cached?.head ?? (await this.head())
    const state = { head, tree: await this.openTree(head) }
    this.state = state
    return state
  }

  private async openTree(head: RepoHead): Promise<StoredTree> {
    try {
      return await StoredTree.open(this.store, this.did, cidKey(head.data))
    } catch (cause) {
      if (!(cause instanceof MissingBlockError)) throw cause
      const { commit } = await this.head()
      if (equalCids(commit, head.commit)) throw cause
      // Superseded between the two reads.
      throw new HeadMovedError(this.did, { cause })
    }
  }

  private async tryWrites(
    state: State,
    writes: readonly PreparedWrite[],
    options: ApplyWritesOptions,
  ): Promise<ApplyWritesResult> {
    const { tree } = state
    await tree.prefetch(writes.map(({ path }) => path))
    const [edit, blocks] = await tree.run((): readonly [TreeEdit, TreeBlocks] => {
      const edited = editTree(tree.loader, tree.root, writes)
      return [edited, buildTreeBlocks(tree.loader, tree.root, edited.root, edited.ops)]
    })
    if (edit.ops.length === 0) {
      const head = await this.head()
      if (!equalCids(head.commit, state.head.commit)) throw new HeadMovedError(this.did)
      return { commit: undefined, writes: edit.applied }
    }
    const built = await this.build(state, edit, blocks, writes, this.signer)
    await this.store.commit(built.change((options.events ?? this.events)?.(built.commit) ?? []))
    for (const node of blocks.added) node.stored = true
    tree.root = edit.root
    tree.loaded += blocks.added.length
    this.advance(built.commit, tree)
    return { commit: built.commit, writes: edit.applied }
  }

  private async build(
    state: State,
    edit: TreeEdit,
    tree: TreeBlocks,
    writes: readonly PreparedWrite[],
    signer: Signer,
  ): Promise<BuiltCommit> {
    const previous = state.head
    const rev = this.clock.next(previous.rev)
    return buildCommit({ did: this.did, rev, previous, tree, ops: edit.ops, writes }, signer)
  }

  private advance(commit: Commit, tree: StoredTree): void {
    this.state = { head: headOf(commit), tree }
  }
}

function headOf({ did, rev, cid, data, bytes }: Commit): RepoHead {
  return { did, rev, commit: cid, data, bytes }
}

/** Whether an error speaks about the state of the repo, rather than about the request. */
function isAboutState(error: unknown): boolean {
  return (
    error instanceof RecordExistsError ||
    error instanceof RecordNotFoundError ||
    error instanceof InvalidSwapError ||
    error instanceof MissingBlockError
  )
}
