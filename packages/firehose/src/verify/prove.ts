import {
  asCid,
  cidFromBytes,
  decodeCbor,
  decodeCborPrefix,
  verifyCommit,
  type Cid,
} from '@skywright/repo'
import type { CommitEvent, SyncEvent } from '../event.ts'
import type { SigningKey } from './verifier.ts'

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

/** Bytes of the CIDs of the protocol: version, codec, hash, length, 32 bytes of digest. */
const CID_BYTES = 36

class SyncCarError extends Error {
  override readonly name = 'SyncCarError'
  readonly code = 'InvalidCar'
}

/** Finds the root and the MST root that its commit names. Nothing is checked here: the proof does that. */
function readCommitBlock(car: Uint8Array): { readonly root: Cid; readonly data: Cid } {
  const header = varint(car, 0)
  const { value, end } = decodeCborPrefix(car, header.end)
  if (end !== header.end + header.value) throw new SyncCarError('CAR header has another length')
  const roots: unknown = isObject(value) ? value['roots'] : undefined
  const root = Array.isArray(roots) && roots.length === 1 ? asCid(roots[0]) : undefined
  if (root === undefined) throw new SyncCarError('CAR has not one root')
  for (let at = end; at < car.length;) {
    const section = varint(car, at)
    const block = section.end + CID_BYTES
    at = section.end + section.value
    if (at > car.length || at < block) throw new SyncCarError('CAR section truncated')
    if (!cidFromBytes(car.subarray(section.end, block)).equals(root)) continue
    const commit = decodeCbor(car.subarray(block, at))
    const data = isObject(commit) ? asCid(commit['data']) : undefined
    if (data === undefined) throw new SyncCarError('commit names no data')
    return { root, data }
  }
  throw new SyncCarError('CAR lacks its root')
}

function varint(bytes: Uint8Array, at: number): { readonly value: number; readonly end: number } {
  let value = 0
  for (let i = 0; i < 4; i++) {
    const byte = bytes[at + i]
    if (byte === undefined) break
    value += (byte & 127) * 2 ** (7 * i)
    if (byte < 128) return { value, end: at + i + 1 }
  }
  throw new SyncCarError('bad length in CAR')
}

function isObject(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === 'object'
}
