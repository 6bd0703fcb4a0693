import { asCid, decodeCbor, verifyCommit, type Cid } from '@skywright/repo'
import { scanCar } from '../car-scan.ts'
import type { CommitEvent, SyncEvent } from '../event.ts'
import type { SigningKey } from './identity.ts'

/** What the proof of one event gives. */
export interface Proven {
  readonly commit: Cid
  readonly data: Cid
  /** Op path → record bytes; empty for a `#sync`. */
  readonly records: ReadonlyMap<string, Uint8Array>
}

/**
 * Proves what can be proven of one event alone, with the account's key: CAR and hashes, commit object, signature,
 * agreement with the envelope, and for a `#commit` the operations both ways. Pure.
 *
 * Records are taken as the bytes that were signed: one that is not canonical is its reader's problem, not a reason to
 * lose the account's chain.
 *
 * @throws the errors of `verifyCommit` of `@skywright/repo`.
 */
export function proveEvent(event: CommitEvent | SyncEvent, key: SigningKey): Proven {
  return event.type === 'commit' ? proveCommit(event, key) : proveSync(event, key)
}

function proveCommit(event: CommitEvent, key: SigningKey): Proven {
  const { did, rev, commit, blocks, ops, prevData, since } = event
  const { data, records } = verifyCommit({
    did,
    rev,
    commit,
    blocks,
    ops,
    prevData,
    since,
    key,
    mode: 'tolerant',
  })
  return { commit, data, records }
}

/** A `#sync` is a commit without operations over its own tree. */
function proveSync({ did, rev, blocks }: SyncEvent, key: SigningKey): Proven {
  const { root, data } = readCommitBlock(blocks)
  const proven = verifyCommit({
    did,
    rev,
    commit: root,
    blocks,
    ops: [],
    prevData: data,
    since: null,
    key,
  })
  return { commit: root, data: proven.data, records: proven.records }
}

class SyncCarError extends Error {
  override readonly name = 'SyncCarError'
  readonly code = 'InvalidCar'
}

/** Finds the root and the MST root that its commit names. Nothing is checked here: the proof does that. */
function readCommitBlock(car: Uint8Array): { readonly root: Cid; readonly data: Cid } {
  const scanned = scanCar(car)
  const { root } = scanned
  const block = root === undefined ? undefined : scanned.get(root)
  if (root === undefined || block === undefined) throw new SyncCarError('CAR lacks its root')
  const commit = decodeCbor(block)
  const data =
    commit !== null && typeof commit === 'object' && 'data' in commit
      ? asCid(commit.data)
      : undefined
  if (data === undefined) throw new SyncCarError('commit names no data')
  return { root, data }
}
