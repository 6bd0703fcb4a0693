import { isValidDid } from '@atproto/syntax'

import { untilAborted } from './abort.ts'
import { ArrivingBlocks } from './arriving-blocks.ts'
import { collectBlobs } from './blobs.ts'
import { formatCar } from './car/encode.ts'
import type { ByteSource } from './car/chunk-reader.ts'
import { decodeCbor } from './cbor.ts'
import { cidFromKey, cidKey, cidKeyForCbor, equalCids } from './cid.ts'
import { type Commit, type ParsedCommit, signCommit } from './commit.ts'
import { copyBytes } from './copy-bytes.ts'
import {
  HeadMovedError,
  InvalidCborError,
  InvalidCommitError,
  InvalidDataError,
  InvalidRecordError,
  InvalidSyntaxError,
} from './errors.ts'
import { parsePath } from './path.ts'
import type { CommitEvents } from './repo.ts'
import type { Block, RecordPut, RepoHead, RepoStage, RepoStore } from './repo-store.ts'
import type { Signer, Verifier } from './signer.ts'
import { pause } from './steps.ts'
import { createTidClock, isLastTid, type TidClock } from './tid.ts'
import { verifyCommitBlock } from './verify-commit.ts'
import type { RecordMode } from './verify-record.ts'
import type { RepoRecord } from './verify-repo.ts'
import { walkBlocks } from './walk-blocks.ts'

/** Options of {@link importRepo}. */
export interface ImportRepoOptions {
  /** The account the CAR must be of. */
  readonly did: string
  /** Signs the imported state with the account's key here. */
  readonly signer: Signer
  /** The key the CAR must be signed with. @defaultValue not checked: the account's owner hands it in, and the key may have rotated since */
  readonly key?: Verifier | undefined
  /** Whether records must be canonical. @defaultValue 'strict' */
  readonly mode?: RecordMode
  /** @defaultValue a clock of this call */
  readonly clock?: TidClock
  /** Events of the new commit. @defaultValue none: an account usually announces itself when it is activated */
  readonly events?: CommitEvents
  /** Most bytes of the CAR. @defaultValue {@link MAX_CAR_BYTES} */
  readonly maxBytes?: number
  readonly signal?: AbortSignal
}

/** What an import did. */
export interface ImportRepoResult {
  /** The new commit over the imported data, without operations; undefined when the store held exactly this data already. */
  readonly commit: Commit | undefined
  readonly head: RepoHead
  readonly recordCount: number
}

/** How often the head is read anew because somebody else wrote. */
const MAX_ATTEMPTS = 8
/** Rows and bytes put into the stage at once, so that the store is not busy for long. */
const BATCH_ROWS = 256
const BATCH_BYTES = 256 * 1024

/**
 * Takes over a repo from a CAR: verifies everything, then replaces what the store holds for the account by the CAR's tree
 * and records, and signs it with the account's key here under a rev above the CAR's, the store's and the clock. Blocks the
 * tree does not refer to are dropped. Nothing becomes visible when anything is refused or the process dies.
 *
 * Blocks may come in any order. A CAR that arrives in pieces is never held as a whole: what passes a few megabytes waits in
 * the store's {@link RepoStage}. The event loop gets its turns, and the transaction that changes over is short.
 *
 * @throws {InvalidSyntaxError} when the DID is malformed.
 * @throws what {@link verifyRepo} throws.
 * @throws {InvalidCommitError} also when no legal rev is above the CAR's.
 * @throws {InvalidRecordError} also when a record holds a malformed blob, or (tolerant mode) cannot be decoded at all.
 * @throws {HeadMovedError} when other writers kept being faster, another import of the account began, or the repo was deleted meanwhile.
 */
export async function importRepo(
  store: RepoStore,
  car: Uint8Array | ByteSource,
  options: ImportRepoOptions,
): Promise<ImportRepoResult> {
  const { did, signal, mode = 'strict' } = options
  if (!isValidDid(did)) throw new InvalidSyntaxError('did', did, 'not a did')
  const existed = (await store.getHead(did)) !== undefined
  const stage = store.stage(did)
  try {
    const blocks = new ArrivingBlocks(stage)
    const source = await gather(blocks, car, options)
    const batch = new Batch(stage, mode)
    const walk = walkBlocks(blocks, source.data, {
      mode,
      signal,
      node: (key, bytes) => batch.addNode({ cid: cidFromKey(key), bytes: copyBytes(bytes) }),
    })
    for await (const record of walk) {
      batch.addRecord(record)
      if (batch.full) await batch.put()
    }
    for (let attempts = 1; ; attempts++) {
      const current = await store.getHead(did)
      if (existed && current === undefined) throw new HeadMovedError(did)
      try {
        return await tryCommit(current, stage, source, batch, options)
      } catch (error) {
        if (!(error instanceof HeadMovedError) || attempts >= MAX_ATTEMPTS) throw error
      }
    }
  } finally {
    await stage.close()
  }
}

/** Reads the whole CAR into `blocks`; its commit is verified as soon as it is there. */
async function gather(
  blocks: ArrivingBlocks,
  car: Uint8Array | ByteSource,
  { did, key, maxBytes, signal }: ImportRepoOptions,
): Promise<ParsedCommit> {
  let commit: ParsedCommit | undefined
  await blocks.gather(car, {
    ...(maxBytes === undefined ? {} : { maxBytes }),
    signal,
    root: (root, block) => {
      const only = { roots: [root], blocks: new Map([[root, block]]) }
      commit = verifyCommitBlock(only, undefined, did, key)
      if (isLastTid(commit.rev)) throw new InvalidCommitError('no rev is above the one of the car')
    },
  })
  if (commit === undefined) throw new InvalidCommitError('no commit')
  return commit
}

/** Rows on their way into a stage. Bytes are copied, so that nothing holds on to the CAR. */
class Batch {
  nodes: Block[] = []
  records: RecordPut[] = []
  /** Records so far. */
  count = 0
  private readonly stage: RepoStage
  private readonly mode: RecordMode
  private bytes = 0

  constructor(stage: RepoStage, mode: RecordMode) {
    this.stage = stage
    this.mode = mode
  }

  get full(): boolean {
    return this.bytes >= BATCH_BYTES || this.nodes.length + this.records.length >= BATCH_ROWS
  }

  addNode(node: Block): void {
    this.nodes.push(node)
    this.bytes += node.bytes.length
  }

  addRecord({ path, cid, bytes }: RepoRecord): void {
    try {
      const blobs = collectBlobs(decodeCbor(bytes, { mode: this.mode }))
      this.records.push({ ...parsePath(path), cid, bytes: copyBytes(bytes), blobs })
    } catch (cause) {
      if (cause instanceof InvalidDataError || cause instanceof InvalidCborError)
        throw new InvalidRecordError(path, cause.reason, { cause })
      throw cause
    }
    this.count++
    this.bytes += bytes.length
  }

  async put(): Promise<void> {
    await this.stage.put(this.nodes, this.records)
    this.nodes = []
    this.records = []
    this.bytes = 0
    await pause()
  }
}

async function tryCommit(
  current: RepoHead | undefined,
  stage: RepoStage,
  source: ParsedCommit,
  { nodes, records, count: recordCount }: Batch,
  { did, signer, clock = createTidClock(), events, signal }: ImportRepoOptions,
): Promise<ImportRepoResult> {
  const data = cidFromKey(source.data)
  if (current !== undefined && equalCids(current.data, data)) {
    return { commit: undefined, head: current, recordCount }
  }
  const after = current !== undefined && current.rev > source.rev ? current.rev : source.rev
  const rev = clock.next(after)
  const bytes = await untilAborted(signCommit({ did, rev, data: cidKey(data) }, signer), signal)
  const key = cidKeyForCbor(bytes)
  const head: RepoHead = { did, rev, commit: cidFromKey(key), data, bytes }
  const commit: Commit = {
    did,
    rev,
    since: current?.rev ?? null,
    cid: head.commit,
    data,
    ...(current === undefined ? {} : { prevData: current.data }),
    ops: [],
    blocks: formatCar([key], [[key, bytes]]),
    bytes,
    blobs: [],
  }
  await stage.commit({
    previous: current?.commit ?? null,
    head,
    putNodes: nodes,
    putRecords: records,
    events: events?.(commit) ?? [],
  })
  return { commit, head, recordCount }
}
