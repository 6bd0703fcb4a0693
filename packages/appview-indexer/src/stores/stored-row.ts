import type { CollectionSchema } from '../schema.ts'
import type { OldTable } from '../old-table.ts'
import type { ActorState, LabelRow, OldRow, StoredRow, StoredValue } from './transaction.ts'

/** The values of a row in stored order. */
export type StoredValues = readonly (string | number | Uint8Array | null)[]

/** Reads the columns in the order of `storedColumns`. The casts restate the table's own types. */
export function decodeRow(collection: CollectionSchema, row: StoredValues): StoredRow {
  const base = collection.edge ? 0 : 1
  const first = base + 6
  const end = first + collection.columns.length
  return {
    id: collection.edge ? 0 : Number(row[0]),
    repo: Number(row[base]),
    rkey: String(row[base + 1]),
    cid: row[base + 2] as Uint8Array,
    state: Number(row[base + 3]),
    indexedAt: Number(row[base + 4]),
    sortAt: Number(row[base + 5]),
    values: row.slice(first, end) as StoredValue[],
    bytes: collection.keepsRecord ? (row[end] as Uint8Array) : undefined,
  }
}

/** An account nothing is known of. */
export function newActor(id: number, did: string): ActorState {
  return {
    id,
    did,
    rev: undefined,
    data: undefined,
    sync: 0,
    active: true,
    status: undefined,
    handle: undefined,
    handleDue: 0,
    sweep: 0,
    sweepAt: '',
    deadDropped: 0,
    parked: 0,
    attempts: 0,
    dueAt: 0,
  }
}

/** An account as stored. */
export function decodeActor(row: Readonly<Record<string, unknown>>): ActorState {
  const optional = (value: unknown): string | undefined =>
    typeof value === 'string' ? value : undefined
  return {
    id: Number(row['id']),
    did: String(row['did']),
    rev: optional(row['rev']),
    // The column is a BLOB.
    data: (row['data'] ?? undefined) as Uint8Array | undefined,
    sync: Number(row['sync']),
    active: Number(row['active']) === 1,
    status: optional(row['status']),
    handle: optional(row['handle']),
    handleDue: Number(row['handleDue']),
    sweep: Number(row['sweep']),
    sweepAt: String(row['sweepAt']),
    deadDropped: Number(row['deadDropped']),
    parked: Number(row['parked']),
    attempts: Number(row['attempts']),
    dueAt: Number(row['dueAt']),
  }
}

/** Most writes of a live stream move an account's rev and nothing else, which no index holds. */
export function differsInRevOnly(stored: ActorState, actor: ActorState): boolean {
  return (
    stored.sync === actor.sync &&
    stored.active === actor.active &&
    stored.status === actor.status &&
    stored.handleDue === actor.handleDue &&
    stored.sweep === actor.sweep &&
    stored.sweepAt === actor.sweepAt &&
    stored.deadDropped === actor.deadDropped &&
    stored.parked === actor.parked &&
    stored.attempts === actor.attempts &&
    stored.dueAt === actor.dueAt
  )
}

/** A row of `oldColumns`. */
export function decodeOldRow(
  from: OldTable,
  collection: CollectionSchema,
  row: Readonly<Record<string, unknown>>,
): OldRow {
  const repo = Number(row['repo'])
  const rkey = String(row['rkey'])
  return {
    at: from.edge ? [repo, rkey] : [Number(row['id'])],
    repo,
    rkey,
    // Columns of bytes.
    cid: row['cid'] as Uint8Array,
    bytes: row['bytes'] instanceof Uint8Array ? row['bytes'] : undefined,
    indexedAt: Number(row['indexedAt']),
    sortAt: Number(row['sortAt']),
    values: collection.columns.map((_, at) => (row[`v${at}`] ?? null) as StoredValue),
  }
}

/** A label as stored. */
export function decodeLabelRow(row: Readonly<Record<string, unknown>>): LabelRow {
  const { exp } = row
  return {
    target: Number(row['target']),
    src: Number(row['src']),
    val: String(row['val']),
    cid: String(row['cid']),
    neg: Number(row['neg']) === 1,
    cts: Number(row['cts']),
    exp: exp === null || exp === undefined ? undefined : Number(exp),
    // The column is a BLOB.
    bytes: row['bytes'] as Uint8Array,
  }
}
