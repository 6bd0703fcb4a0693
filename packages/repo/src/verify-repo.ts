import { openCar, readSection, type CarLimits, type ParsedCar } from './car/decode.ts'
import type { ByteSource } from './car/chunk-reader.ts'
import { gatherBytes } from './car/stream.ts'
import type { Cursor } from './car/varint.ts'
import { type Cid, cidFromKey, type CidKey, formatCidKey } from './cid.ts'
import { type CommitObject, commitObject } from './commit.ts'
import {
  InvalidCborError,
  InvalidRecordError,
  LimitExceededError,
  MissingBlockError,
  StaleRevError,
} from './errors.ts'
import { MAX_CAR_BLOCKS, MAX_CAR_BYTES } from './limits.ts'
import { NodeLoader } from './mst/node.ts'
import { walkTree } from './mst/walk.ts'
import type { Block } from './repo-store.ts'
import type { Verifier } from './signer.ts'
import { runSteps, runStepsPausing, type Steps } from './steps.ts'
import { verifyCommitBlock } from './verify-commit.ts'
import { checkRecordBytes, type RecordMode } from './verify-record.ts'

/** Options of {@link verifyRepo}. */
export interface VerifyRepoOptions extends CarLimits {
  /** The account the repo must be of. @defaultValue not checked */
  readonly did?: string | undefined
  /** The account's key. @defaultValue the signature is not checked: then nothing is proven about who wrote the repo */
  readonly key?: Verifier | undefined
  /** A rev known already; an older repo is refused. @defaultValue not checked */
  readonly minRev?: string | undefined
  /** Whether records must be canonical. @defaultValue 'strict' */
  readonly mode?: RecordMode
}

/** One record of a repo. */
export interface RepoRecord {
  /** Repo path, `collection/rkey`. */
  readonly path: string
  readonly cid: Cid
  /** The record's own bytes; may be a view of the CAR. */
  readonly bytes: Uint8Array
}

/** A verified repo. Iterating gives views of the CAR, and makes CIDs as it goes. */
export interface VerifiedRepo {
  readonly did: string
  readonly rev: string
  /** CID of the commit object. */
  readonly cid: Cid
  /** CID of the MST root. */
  readonly data: Cid
  readonly commit: CommitObject
  readonly recordCount: number
  readonly nodeCount: number
  /** All records, in path order. */
  records(): Generator<RepoRecord, void, void>
  /** All MST nodes, each before what is below it. */
  nodes(): Generator<Block, void, void>
}

/**
 * Proves a whole repo from its CAR, in any order of blocks: every hash, the commit and its signature, every node against
 * every rule of the MST, every record's presence and form. Blocks nothing refers to are ignored. The CAR is held in
 * memory; the event loop gets a turn every few milliseconds.
 *
 * @throws {LimitExceededError} when a bound is passed.
 * @throws {InvalidCarError} when the bytes are no CAR or a block does not match its CID.
 * @throws {InvalidCommitError} when the commit object is malformed; {@link CommitMismatchError} when it is of another account.
 * @throws {InvalidSignatureError} when the signature does not verify under `key`.
 * @throws {StaleRevError} when the commit's rev is below `minRev`.
 * @throws {InvalidMstError} when the tree breaks a rule.
 * @throws {InvalidRecordError} when a record is not canonical (strict mode).
 * @throws {MissingBlockError} when a node or record is absent.
 */
export async function verifyRepo(
  source: Uint8Array | ByteSource,
  options: VerifyRepoOptions & { readonly signal?: AbortSignal } = {},
): Promise<VerifiedRepo> {
  const { maxBytes = MAX_CAR_BYTES, signal } = options
  const bytes = source instanceof Uint8Array ? source : await gatherBytes(source, maxBytes, signal)
  return runStepsPausing(verifySteps(bytes, options), signal)
}

/** {@link verifyRepo} for bytes in memory, without a pause. */
export function verifyRepoSync(bytes: Uint8Array, options: VerifyRepoOptions = {}): VerifiedRepo {
  return runSteps(verifySteps(bytes, options))
}

/** Blocks, and bytes of them, read between two places to pause. */
const BLOCKS_A_STEP = 128
const BYTES_A_STEP = 262_144

function* parseSteps(bytes: Uint8Array, limits: CarLimits): Steps<ParsedCar> {
  const { maxBlocks = MAX_CAR_BLOCKS } = limits
  const { roots, start } = openCar(bytes, limits)
  const blocks = new Map<CidKey, Uint8Array>()
  const cursor: Cursor = { at: start }
  let paused = start
  for (let count = 1; cursor.at < bytes.length; count++) {
    if (count > maxBlocks) throw new LimitExceededError('carBlocks', maxBlocks, count)
    readSection(bytes, cursor, limits, blocks)
    if (count % BLOCKS_A_STEP === 0 || cursor.at - paused > BYTES_A_STEP) {
      paused = cursor.at
      yield
    }
  }
  return { roots, blocks }
}

function* verifySteps(bytes: Uint8Array, options: VerifyRepoOptions): Steps<VerifiedRepo> {
  const { did, key, minRev, mode = 'strict' } = options
  const car = yield* parseSteps(bytes, options)
  const commit = verifyCommitBlock(car, undefined, did, key)
  if (minRev !== undefined && commit.rev < minRev) throw new StaleRevError(commit.rev, minRev)
  const { blocks } = car
  const paths: string[] = []
  const values: CidKey[] = []
  const nodes: CidKey[] = []
  const loader = new NodeLoader((cid) => blocks.get(cid))
  yield* walkTree(loader, commit.data, {
    node: (cid) => nodes.push(cid),
    entry: (path, value) => {
      checkRecord(blocks.get(value), path, value, mode)
      paths.push(path)
      values.push(value)
    },
  })
  const [root = ''] = car.roots
  return {
    did: commit.did,
    rev: commit.rev,
    cid: cidFromKey(root),
    data: cidFromKey(commit.data),
    commit: commitObject(commit),
    recordCount: paths.length,
    nodeCount: nodes.length,
    *records() {
      for (const [index, path] of paths.entries()) {
        const value = values[index] ?? ''
        yield { path, cid: cidFromKey(value), bytes: blockOf(blocks, value) }
      }
    },
    *nodes() {
      for (const cid of nodes) yield { cid: cidFromKey(cid), bytes: blockOf(blocks, cid) }
    },
  }
}

function blockOf(blocks: ReadonlyMap<CidKey, Uint8Array>, key: CidKey): Uint8Array {
  const block = blocks.get(key)
  if (block === undefined) throw new MissingBlockError(formatCidKey(key))
  return block
}

function checkRecord(
  bytes: Uint8Array | undefined,
  path: string,
  cid: CidKey,
  mode: RecordMode,
): void {
  if (bytes === undefined) throw new MissingBlockError(formatCidKey(cid))
  try {
    checkRecordBytes(bytes, mode)
  } catch (cause) {
    if (cause instanceof InvalidCborError)
      throw new InvalidRecordError(path, `${cause.reason}, at byte ${cause.offset}`, { cause })
    throw cause
  }
}
