import { parseCar } from './car/decode.ts'
import { type Cid, cidFromKey } from './cid.ts'
import { type CommitObject, commitObject } from './commit.ts'
import {
  MissingBlockError,
  ProofIncompleteError,
  StaleRevError,
  InvalidSyntaxError,
} from './errors.ts'
import { getEntry } from './mst/edit.ts'
import { NodeLoader } from './mst/node.ts'
import { isPath } from './path.ts'
import type { Verifier } from './signer.ts'
import { verifyCommitBlock } from './verify-commit.ts'

/** Bytes of a record proof: a record of 1 MB and a path of nodes, with room (ours). */
const MAX_PROOF_BYTES = 4_000_000

/** Options of {@link verifyRecordProof}. */
export interface VerifyRecordProofOptions {
  readonly did: string
  readonly key: Verifier
  /** Repo path of the record, `collection/rkey`. */
  readonly path: string
  /** A rev known already; a proof of an older state is refused. @defaultValue not checked: an old proof may be replayed */
  readonly minRev?: string | undefined
}

/** What a record proof proves. */
export interface VerifiedRecordProof {
  readonly rev: string
  readonly commit: CommitObject
  /** CID of the record; undefined when the proof shows that there is none. */
  readonly cid: Cid | undefined
  /** The record; undefined when there is none, or its block is not in the CAR. A view of the input. */
  readonly bytes: Uint8Array | undefined
}

/**
 * Proves the presence or absence of one record from the CAR of `sync.getRecord`.
 *
 * @throws {InvalidSyntaxError} when `path` is no repo path.
 * @throws {InvalidCarError} when the bytes are no CAR or a block does not match its CID.
 * @throws {InvalidCommitError} when the commit object is malformed; {@link CommitMismatchError} when it is of another account.
 * @throws {InvalidSignatureError} when the signature does not verify.
 * @throws {StaleRevError} when the commit's rev is below `minRev`.
 * @throws {InvalidMstError} when a node on the path breaks a rule.
 * @throws {ProofIncompleteError} when a node on the path is absent: neither presence nor absence is proven.
 */
export function verifyRecordProof(
  car: Uint8Array,
  options: VerifyRecordProofOptions,
): VerifiedRecordProof {
  const { did, key, path, minRev } = options
  if (!isPath(path)) throw new InvalidSyntaxError('repo path', path, 'not <nsid>/<record key>')
  const parsed = parseCar(car, { maxBytes: MAX_PROOF_BYTES })
  try {
    const commit = verifyCommitBlock(parsed, undefined, did, key)
    if (minRev !== undefined && commit.rev < minRev) throw new StaleRevError(commit.rev, minRev)
    const loader = new NodeLoader((cid) => parsed.blocks.get(cid))
    const value = getEntry(loader, loader.loadRoot(commit.data), path)
    return {
      rev: commit.rev,
      commit: commitObject(commit),
      cid: value === undefined ? undefined : cidFromKey(value),
      bytes: value === undefined ? undefined : parsed.blocks.get(value),
    }
  } catch (error) {
    if (error instanceof MissingBlockError)
      throw new ProofIncompleteError(error.cid, { cause: error })
    throw error
  }
}
