import type { CommitEvent, SyncEvent } from '../event.ts'
import type { RejectReason } from './outcome.ts'

/**
 * The reason a verification error of `@skywright/repo` counts as. Matched on the stable `code`, so that two copies of
 * the package agree.
 */
export function rejectReason(error: unknown, event: CommitEvent | SyncEvent): RejectReason {
  if (error === null || typeof error !== 'object' || !('code' in error)) return 'internal'
  switch (error.code) {
    case 'InvalidCar':
    case 'InvalidCid':
      return 'invalid-car'
    case 'LimitExceeded':
      return 'too-large'
    case 'InvalidCbor':
    case 'InvalidCommit':
      return 'invalid-commit'
    case 'InvalidSyntax':
      return 'invalid-op'
    case 'InvalidSignature':
      return 'bad-signature'
    case 'CommitMismatch':
      return 'field' in error && (error.field === 'prevData' || error.field === 'data')
        ? 'inversion-mismatch'
        : 'commit-mismatch'
    case 'InvalidMst':
      return 'invalid-mst'
    case 'InvalidOps':
      return 'op-mismatch'
    case 'InvalidProof':
      return 'missing-proof'
    case 'ProofIncomplete':
    case 'MissingBlock':
      return 'cid' in error && isRecord(error.cid, event) ? 'missing-record' : 'missing-proof'
    default:
      return 'internal'
  }
}

function isRecord(cid: unknown, event: CommitEvent | SyncEvent): boolean {
  return event.type === 'commit' && event.ops.some((op) => op.cid?.toString() === cid)
}

/** The error as an `Error`, whatever was thrown. */
export function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error('verification failed', { cause: error })
}
