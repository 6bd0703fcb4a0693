import { isValidDid } from '@atproto/syntax'

import { collectBlobs } from './blobs.ts'
import { formatCar } from './car/encode.ts'
import { type ByteSource } from './car/stream.ts'
import { decodeCbor } from './cbor.ts'
import { cidFromKey, cidKey, cidKeyForCbor, equalCids } from './cid.ts'
import { type Commit, signCommit } from './commit.ts'
import {
  HeadMovedError,
  InvalidCommitError,
  InvalidDataError,
  InvalidRecordError,
  InvalidSyntaxError,
} from './errors.ts'
import { parsePath } from './path.ts'
import type { CommitEvents } from './repo.ts'
import type { Block, RecordPut, RepoHead, RepoStore } from './repo-store.ts'
import type { Signer, Verifier } from './signer.ts'
import { runStepsPausing, type Steps } from './steps.ts'
import { createTidClock, TID_MAX, type TidClock } from './tid.ts'
import type { RecordMode } from './verify-record.ts'
import { type VerifiedRepo, verifyRepo } from './verify-repo.ts'

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
  /** Most bytes of the CAR. */
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
/** Nodes prepared between two places to pause. */
const NODES_A_STEP = 64

/**
 * Takes over a repo from a CAR: verifies everything, then replaces what the store holds for the account by the CAR's tree
 * and records, and signs it with the account's key here under a rev above the CAR's, the store's and the clock. Blocks the
 * tree does not refer to are dropped. Nothing is stored when anything is refused.
 *
 * Verifying pauses for the event loop; the store's transaction is one piece. The CAR and its records are held in memory.
 *
 * @throws {InvalidSyntaxError} when the DID is malformed.
 * @throws what {@link verifyRepo} throws.
 * @throws {InvalidRecordError} when a record holds a malformed blob (strict mode).
 * @throws {HeadMovedError} when other writers kept being faster.
 */
export async function importRepo(
  store: RepoStore,
  car: Uint8Array | ByteSource,
  options: ImportRepoOptions,
): Promise<ImportRepoResult> {
  const { did, signal, mode = 'strict' } = options
  if (!isValidDid(did)) throw new InvalidSyntaxError('did', did, 'not a did')
  const { key, maxBytes } = options
  const repo = await verifyRepo(car, {
    did,
    key,
    mode,
    ...(maxBytes === undefined ? {} : { maxBytes }),
    ...(signal === undefined ? {} : { signal }),
  })
  if (repo.rev >= TID_MAX) throw new InvalidCommitError('no rev is above the one of the car')
  const records = await runStepsPausing(prepareRecords(repo, mode), signal)
  const nodes = await runStepsPausing(prepareNodes(repo), signal)
  for (let attempts = 1; ; attempts++) {
    try {
      return await tryImport(store, repo, nodes, records, options)
    } catch (error) {
      if (!(error instanceof HeadMovedError) || attempts >= MAX_ATTEMPTS) throw error
    }
  }
}

async function tryImport(
  store: RepoStore,
  repo: VerifiedRepo,
  putNodes: readonly Block[],
  records: readonly RecordPut[],
  { did, signer, clock = createTidClock(), events }: ImportRepoOptions,
): Promise<ImportRepoResult> {
  const recordCount = records.length
  const current = await store.getHead(did)
  if (current !== undefined && equalCids(current.data, repo.data)) {
    return { commit: undefined, head: current, recordCount }
  }
  const after = current !== undefined && current.rev > repo.rev ? current.rev : repo.rev
  const rev = clock.next(after)
  const bytes = await signCommit({ did, rev, data: cidKey(repo.data) }, signer)
  const key = cidKeyForCbor(bytes)
  const head: RepoHead = { did, rev, commit: cidFromKey(key), data: repo.data, bytes }
  const commit: Commit = {
    did,
    rev,
    since: current?.rev ?? null,
    cid: head.commit,
    data: repo.data,
    ...(current === undefined ? {} : { prevData: current.data }),
    ops: [],
    blocks: formatCar([key], [[key, bytes]]),
    bytes,
    blobs: [],
  }
  await store.commit({
    did,
    previous: current?.commit ?? null,
    head,
    putNodes,
    deleteNodes: [],
    putRecords: records,
    deleteRecords: [],
    replace: true,
    events: events?.(commit) ?? [],
  })
  return { commit, head, recordCount }
}

/** Copies the nodes, so that the store does not hold on to the CAR. */
function* prepareNodes(repo: VerifiedRepo): Steps<readonly Block[]> {
  const nodes: Block[] = []
  for (const { cid, bytes } of repo.nodes()) {
    nodes.push({ cid, bytes: bytes.slice() })
    if (nodes.length % NODES_A_STEP === 0) yield
  }
  return nodes
}

function* prepareRecords(repo: VerifiedRepo, mode: RecordMode): Steps<readonly RecordPut[]> {
  const records: RecordPut[] = []
  for (const { path, cid, bytes } of repo.records()) {
    try {
      const blobs = collectBlobs(decodeCbor(bytes, { mode }))
      records.push({ ...parsePath(path), cid, bytes: bytes.slice(), blobs })
    } catch (cause) {
      if (cause instanceof InvalidDataError)
        throw new InvalidRecordError(path, cause.message, { cause })
      throw cause
    }
    yield
  }
  return records
}
