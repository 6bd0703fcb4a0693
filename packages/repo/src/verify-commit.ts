import { type CarLimits, type ParsedCar, parseCar } from './car/decode.ts'
import { type Cid, cidFromKey, cidKey, type CidKey, formatCidKey } from './cid.ts'
import { type CommitObject, commitObject, type ParsedCommit, parseCommit } from './commit.ts'
import {
  CommitMismatchError,
  InvalidCborError,
  InvalidOpsError,
  InvalidProofError,
  InvalidRecordError,
  InvalidSignatureError,
  LimitExceededError,
  MissingBlockError,
  ProofIncompleteError,
} from './errors.ts'
import { MAX_COMMIT_BLOCKS_BYTES, MAX_COMMIT_OPS } from './limits.ts'
import { getEntry } from './mst/edit.ts'
import { invertOps, type KeyedOp } from './mst/invert.ts'
import { NodeEncoder } from './mst/node-codec.ts'
import { EMPTY_TREE_KEY, type MstNode, NodeLoader, treeCid } from './mst/node.ts'
import type { RepoOp } from './ops.ts'
import { isPath } from './path.ts'
import type { Verifier } from './signer.ts'
import { checkRecordBytes, type RecordMode } from './verify-record.ts'

/** A `#commit` to verify: the envelope's fields and the key of the account. */
export interface VerifyCommitInput {
  /** The event's `repo`. */
  readonly did: string
  readonly rev: string
  /** CID of the commit object, as the event names it. */
  readonly commit: Cid
  /** The CAR slice. */
  readonly blocks: Uint8Array
  readonly ops: readonly RepoOp[]
  /** The event's `prevData`; may be absent only in the first commit of a repo. */
  readonly prevData?: Cid | null | undefined
  /** The event's `since`; null or absent for the first commit of a repo. */
  readonly since?: string | null | undefined
  readonly key: Verifier
  /** Whether records must be canonical CBOR (`strict`), or are taken as opaque bytes (`tolerant`). @defaultValue 'strict' */
  readonly mode?: RecordMode
}

/** A verified `#commit`. */
export interface VerifiedCommit {
  readonly did: string
  readonly rev: string
  /** CID of the MST root. */
  readonly data: Cid
  readonly commit: CommitObject
  /** Encoded records by path, for every create and update; views of the input. */
  readonly records: ReadonlyMap<string, Uint8Array>
}

/** A commit slice has few blocks: this many tiny ones fit its byte bound only by abuse. */
const COMMIT_CAR_LIMITS: CarLimits = { maxBytes: MAX_COMMIT_BLOCKS_BYTES, maxBlocks: 20_000 }

/**
 * Proves a `#commit`: the CAR and every hash in it, the commit object and its signature, that the envelope tells the same,
 * that every operation is what the new tree shows, and that undoing the operations gives exactly `prevData`, so that nothing
 * was left out. Nodes are checked against every rule of the MST as they are visited.
 *
 * What one message cannot prove is left to the caller: that `since` and `prevData` are the state it knew, that the rev is
 * new and not far in the future, that the key is the account's current one.
 *
 * @throws {LimitExceededError} when the slice, the operations or a record pass the protocol's bounds.
 * @throws {InvalidCarError} when the slice is no CAR or a block does not match its CID.
 * @throws {InvalidCommitError} when the commit object is malformed.
 * @throws {CommitMismatchError} when commit object and envelope differ, or the inverted tree is not `prevData`.
 * @throws {InvalidSignatureError} when the signature does not verify under `key`.
 * @throws {InvalidOpsError} when an operation is malformed, doubled, or not what the tree shows.
 * @throws {InvalidRecordError} when a record is not canonical (strict mode).
 * @throws {InvalidMstError} when a visited node breaks a rule.
 * @throws {InvalidProofError} when `prevData` is absent although the repo has a past.
 * @throws {ProofIncompleteError} when a block is absent that the proof needs; nothing is proven either way.
 * @see {@link https://atproto.com/specs/sync#commit-validation-mst-operation-inversion}
 */
export function verifyCommit(input: VerifyCommitInput): VerifiedCommit {
  try {
    return proveCommit(input)
  } catch (error) {
    if (error instanceof MissingBlockError)
      throw new ProofIncompleteError(error.cid, { cause: error })
    throw error
  }
}

function proveCommit(input: VerifyCommitInput): VerifiedCommit {
  const { did, rev, ops, key } = input
  if (ops.length > MAX_COMMIT_OPS)
    throw new LimitExceededError('commitOps', MAX_COMMIT_OPS, ops.length)
  const car = parseCar(input.blocks, COMMIT_CAR_LIMITS)
  const commit = verifyCommitBlock(car, cidKey(input.commit), did, key)
  if (commit.rev !== rev) throw new CommitMismatchError('rev', rev, commit.rev)
  const keyed = keyOps(ops)
  const prevData = expectedPrevData(input)
  const records = new Map<string, Uint8Array>()
  let before: CidKey
  if (keyed.length === 0) {
    // Nothing to undo: the tree is the one before, and its blocks need not be there.
    before = commit.data
  } else {
    const loader = new NodeLoader((cid) => car.blocks.get(cid))
    const root = checkForward(loader, car, commit.data, keyed, records, input.mode ?? 'strict')
    const inverted = invertOps(loader, root, keyed)
    // A block that was never seen is either the root before, or hides it.
    if (typeof inverted === 'string' && inverted !== prevData)
      throw new ProofIncompleteError(formatCidKey(inverted))
    before = treeCid(inverted, new NodeEncoder(1024), false)
  }
  if (before !== prevData) {
    throw new CommitMismatchError('prevData', formatCidKey(prevData), formatCidKey(before))
  }
  return { did, rev, data: cidFromKey(commit.data), commit: commitObject(commit), records }
}

/** Checks root, shape, account and signature of the commit object of a CAR. @throws {MissingBlockError} when its block is absent. */
export function verifyCommitBlock(
  car: ParsedCar,
  expected: CidKey | undefined,
  did: string | undefined,
  key: Verifier | undefined,
): ParsedCommit {
  const [root] = car.roots
  if (root === undefined) throw new InvalidProofError('no root')
  if (expected !== undefined && root !== expected) {
    throw new CommitMismatchError('commit', formatCidKey(expected), formatCidKey(root))
  }
  const block = car.blocks.get(root)
  if (block === undefined) throw new MissingBlockError(formatCidKey(root))
  const commit = parseCommit(block)
  if (did !== undefined && commit.did !== did) throw new CommitMismatchError('did', did, commit.did)
  if (key !== undefined && !key.verify(commit.unsigned, commit.sig)) {
    throw new InvalidSignatureError(commit.did)
  }
  return commit
}

function expectedPrevData(input: VerifyCommitInput): CidKey {
  if (input.prevData !== undefined && input.prevData !== null) return cidKey(input.prevData)
  // Without a past the tree before was the empty one; with a past, a commit that hides it proves nothing.
  if (input.since === null || input.since === undefined) return EMPTY_TREE_KEY
  throw new InvalidProofError('prevData missing')
}

function keyOps(ops: readonly RepoOp[]): readonly KeyedOp[] {
  const paths = new Set<string>()
  return ops.map((op) => {
    const { action, path } = op
    if (!isPath(path)) throw new InvalidOpsError('not a repo path', path)
    if (paths.has(path)) throw new InvalidOpsError('two operations on one path', path)
    paths.add(path)
    const cid = op.cid === null || op.cid === undefined ? null : cidKey(op.cid)
    const prev = op.prev === null || op.prev === undefined ? null : cidKey(op.prev)
    const shaped =
      (action === 'create' && cid !== null && prev === null) ||
      (action === 'update' && cid !== null && prev !== null) ||
      (action === 'delete' && cid === null && prev !== null)
    if (!shaped) throw new InvalidOpsError('cid and prev do not fit the action', path)
    return { action, path, cid, prev }
  })
}

function checkForward(
  loader: NodeLoader,
  car: ParsedCar,
  data: CidKey,
  ops: readonly KeyedOp[],
  records: Map<string, Uint8Array>,
  mode: RecordMode,
): MstNode {
  const root = loader.loadRoot(data)
  for (const { path, cid } of ops) {
    const value = getEntry(loader, root, path) ?? null
    if (value !== cid) throw new InvalidOpsError('the new tree shows something else', path)
    if (cid !== null) records.set(path, recordOf(car, cid, path, mode))
  }
  return root
}

function recordOf(car: ParsedCar, cid: CidKey, path: string, mode: RecordMode): Uint8Array {
  const record = car.blocks.get(cid)
  if (record === undefined) throw new MissingBlockError(formatCidKey(cid))
  try {
    checkRecordBytes(record, mode)
  } catch (cause) {
    if (cause instanceof InvalidCborError)
      throw new InvalidRecordError(path, `${cause.reason}, at byte ${cause.offset}`, { cause })
    throw cause
  }
  return record
}
