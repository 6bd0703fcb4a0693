import { InvalidPlcLogError, InvalidPlcOperationError } from '../errors.ts'
import type { PublicKey } from '../keys/key.ts'
import { parsePublicKey } from '../keys/public-key.ts'
import {
  encodePlcOperation,
  parsePlcSignature,
  plcGenesisDid,
  plcOperationCid,
  plcSigningBytes,
} from './encoding.ts'
import { MAX_PLC_OPERATION_BYTES, parsePlcOperation, plcOperationData } from './operation.ts'
import type { AnyPlcOperation, PlcData, PlcLogEntry } from './operation.ts'

/** How long a more powerful key may rewrite history, both ends included: 72 hours. */
export const PLC_RECOVERY_WINDOW_MS: number = 72 * 60 * 60 * 1000

/** Entries a log may have before it is refused unread. The busiest known DID has far fewer. */
const MAX_LOG_ENTRIES = 10_000
/** Signatures tried on one log: some seconds of work, and many times what an honest log needs. */
const MAX_SIGNATURE_CHECKS = 20_000

/** An operation that was checked, in its place. */
export interface VerifiedPlcEntry {
  readonly operation: AnyPlcOperation
  /** Recomputed. */
  readonly cid: string
  readonly createdAtMs: number
  /** Recomputed: whether a later recovery undid it. */
  readonly nullified: boolean
}

/** What a log proves. */
export interface VerifiedPlcLog {
  readonly did: string
  /** All entries in log order. */
  readonly entries: readonly VerifiedPlcEntry[]
  /** The chain that survived, genesis first. */
  readonly chain: readonly VerifiedPlcEntry[]
  /** The state now; `undefined` when the DID is tombstoned. */
  readonly data: PlcData | undefined
}

/** The outcome of {@link verifyNextPlcOperation}. */
export interface PlcPlacement {
  readonly cid: string
  /** CIDs of the surviving entries this operation undoes, oldest first. */
  readonly nullified: readonly string[]
}

/** What {@link verifyNextPlcOperation} needs to know of an entry of the surviving chain. */
export interface PlcChainEntry {
  readonly operation: AnyPlcOperation
  readonly cid: string
  readonly createdAtMs: number
}

/**
 * Verifies an audit log (`/:did/log/audit`) from nothing: shapes, every CID, every signature against the keys of the
 * operation it follows, forks and their 72 hours, the genesis against the DID. What the server says about CIDs and
 * nullification is recomputed, and must agree. `createdAt` is the server's word: nothing signs it.
 * @throws {InvalidPlcLogError} naming the entry and the reason
 * @see {@link https://web.plc.directory/spec/v0.1/did-plc}
 */
export function verifyAuditLog(did: string, log: unknown): VerifiedPlcLog {
  if (!Array.isArray(log)) throw new InvalidPlcLogError(did, 0, 'log is not a list')
  if (log.length === 0) throw new InvalidPlcLogError(did, 0, 'log is empty')
  if (log.length > MAX_LOG_ENTRIES) throw new InvalidPlcLogError(did, 0, 'log is too long')
  const entries: { readonly claimed: PlcLogEntry; readonly entry: PlcChainEntry }[] = []
  let chain: readonly PlcChainEntry[] = []
  const checker = new SignatureChecker()
  log.forEach((value: unknown, index) => {
    try {
      const claimed = parseLogEntry(value)
      if (claimed.did !== did) throw new InvalidPlcOperationError('entry of another DID')
      const createdAtMs = parseTime(claimed.createdAt)
      const placement = placeOperation(did, chain, claimed.operation, createdAtMs, checker)
      if (placement.cid !== claimed.cid) throw new InvalidPlcOperationError('CID does not match')
      const entry = { operation: claimed.operation, cid: placement.cid, createdAtMs }
      chain = [...chain.slice(0, chain.length - placement.nullified.length), entry]
      entries.push({ claimed, entry })
    } catch (cause) {
      if (!(cause instanceof InvalidPlcOperationError)) throw cause
      throw new InvalidPlcLogError(did, index, cause.reason, { cause })
    }
  })
  const survivors = new Set(chain)
  const verified = entries.map(({ claimed, entry }, index) => {
    const nullified = !survivors.has(entry)
    if (claimed.nullified !== nullified) {
      throw new InvalidPlcLogError(did, index, 'nullified flag does not match')
    }
    return { ...entry, nullified }
  })
  return {
    did,
    entries: verified,
    chain: verified.filter(({ nullified }) => !nullified),
    data: currentData(chain),
  }
}

/**
 * Verifies a plain operation log (`/:did/log`): one chain without forks, so without times.
 * @returns the state after the last operation, `undefined` when that is a tombstone
 * @throws {InvalidPlcLogError} naming the entry and the reason
 */
export function verifyOperationLog(did: string, log: unknown): PlcData | undefined {
  if (!Array.isArray(log) || log.length === 0 || log.length > MAX_LOG_ENTRIES) {
    throw new InvalidPlcLogError(did, 0, 'log is not a list of operations')
  }
  const chain: PlcChainEntry[] = []
  const checker = new SignatureChecker()
  log.forEach((value: unknown, index) => {
    try {
      const operation = parsePlcOperation(value)
      const { cid, nullified } = placeOperation(did, chain, operation, 0, checker)
      if (nullified.length > 0)
        throw new InvalidPlcOperationError('prev is not the operation before')
      chain.push({ operation, cid, createdAtMs: 0 })
    } catch (cause) {
      if (!(cause instanceof InvalidPlcOperationError)) throw cause
      throw new InvalidPlcLogError(did, index, cause.reason, { cause })
    }
  })
  return currentData(chain)
}

/**
 * Decides whether an operation may be added to the surviving chain of a DID at a time, and what it undoes.
 * @param chain surviving entries, genesis first; empty for a genesis
 * @throws {InvalidPlcOperationError} with the reason when it may not
 */
export function verifyNextPlcOperation(
  did: string,
  chain: readonly PlcChainEntry[],
  operation: AnyPlcOperation,
  createdAtMs: number,
): PlcPlacement {
  return placeOperation(did, chain, operation, createdAtMs, new SignatureChecker())
}

function placeOperation(
  did: string,
  chain: readonly PlcChainEntry[],
  operation: AnyPlcOperation,
  createdAtMs: number,
  checker: SignatureChecker,
): PlcPlacement {
  if (encodePlcOperation(operation).length > MAX_PLC_OPERATION_BYTES) {
    throw new InvalidPlcOperationError(`operation is larger than ${MAX_PLC_OPERATION_BYTES} bytes`)
  }
  const cid = plcOperationCid(operation)
  if (chain.length === 0) {
    verifyGenesis(did, operation, checker)
    return { cid, nullified: [] }
  }
  if (operation.type === 'create') throw new InvalidPlcOperationError('create is not first')
  const prevIndex = chain.findLastIndex((entry) => entry.cid === operation.prev)
  const prev = chain[prevIndex]
  if (prev === undefined) throw new InvalidPlcOperationError('prev is not in the surviving chain')
  const keys = plcOperationData(prev.operation)?.rotationKeys
  if (keys === undefined) throw new InvalidPlcOperationError('prev is a tombstone')
  const undone = chain.slice(prevIndex + 1)
  const [firstUndone] = undone
  if (firstUndone === undefined) {
    checker.verifySignedBy(keys, operation)
    return { cid, nullified: [] }
  }
  // The first undone operation was signed by some key of the list; the recovery must be by one before it.
  const disputedIndex = checker.verifySignedBy(keys, firstUndone.operation)
  checker.verifySignedBy(keys.slice(0, disputedIndex), operation)
  const newest = undone.at(-1) ?? firstUndone
  if (createdAtMs <= newest.createdAtMs) {
    throw new InvalidPlcOperationError('recovery is not later than what it undoes')
  }
  if (createdAtMs - firstUndone.createdAtMs > PLC_RECOVERY_WINDOW_MS) {
    throw new InvalidPlcOperationError('recovery window of 72 hours is over')
  }
  return { cid, nullified: undone.map((entry) => entry.cid) }
}

function verifyGenesis(did: string, operation: AnyPlcOperation, checker: SignatureChecker): void {
  if (operation.type === 'plc_tombstone')
    throw new InvalidPlcOperationError('log begins with a tombstone')
  if (operation.prev !== null) throw new InvalidPlcOperationError('prev of the genesis is not null')
  if (plcGenesisDid(operation) !== did) {
    throw new InvalidPlcOperationError('genesis does not hash to the DID')
  }
  checker.verifySignedBy(plcOperationData(operation)?.rotationKeys ?? [], operation)
}

/** Checks signatures against lists of keys; reads each key once, and bounds the work. */
class SignatureChecker {
  readonly #keys = new Map<string, PublicKey | undefined>()
  #checks = 0

  /** Index of the first key that signed the operation. */
  verifySignedBy(didKeys: readonly string[], operation: AnyPlcOperation): number {
    const signature = parsePlcSignature(operation.sig)
    const bytes = plcSigningBytes(operation)
    const index = didKeys.findIndex((didKey) => {
      const key = this.#read(didKey)
      if (key === undefined) return false
      if (++this.#checks > MAX_SIGNATURE_CHECKS) {
        throw new InvalidPlcOperationError('log asks for too many signature checks')
      }
      return key.verify(bytes, signature)
    })
    if (index < 0) throw new InvalidPlcOperationError('not signed by a key that may')
    return index
  }

  /** A rotation key of history that cannot be read can sign nothing; the others still can. */
  #read(didKey: string): PublicKey | undefined {
    if (this.#keys.has(didKey)) return this.#keys.get(didKey)
    let key: PublicKey | undefined
    try {
      key = didKey.startsWith('did:key:') ? parsePublicKey(didKey) : undefined
    } catch {
      key = undefined
    }
    this.#keys.set(didKey, key)
    return key
  }
}

function currentData(chain: readonly PlcChainEntry[]): PlcData | undefined {
  const last = chain.at(-1)
  return last === undefined ? undefined : plcOperationData(last.operation)
}

function parseLogEntry(value: unknown): PlcLogEntry {
  if (typeof value !== 'object' || value === null) {
    throw new InvalidPlcOperationError('entry is not an object')
  }
  const { did, operation, cid, nullified, createdAt }: Partial<Record<keyof PlcLogEntry, unknown>> =
    value
  if (
    typeof did !== 'string' ||
    typeof cid !== 'string' ||
    typeof nullified !== 'boolean' ||
    typeof createdAt !== 'string'
  ) {
    throw new InvalidPlcOperationError('entry has a missing or foreign field')
  }
  return { did, operation: parsePlcOperation(operation), cid, nullified, createdAt }
}

const ISO_TIME = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?Z$/

function parseTime(text: string): number {
  const time = ISO_TIME.test(text) ? Date.parse(text) : Number.NaN
  if (Number.isNaN(time)) throw new InvalidPlcOperationError('createdAt is not a time')
  return time
}
