import type { RowInput } from '../collection.ts'
import { redraftRecord, rowInputOf } from '../draft.ts'
import type { Draft, DraftValue } from '../draft.ts'
import { InvalidRecordError } from '../errors.ts'
import type { CollectionSchema } from '../schema.ts'
import type { StoredRow } from '../stores/transaction.ts'
import { isDid, parseRecordUri } from '../target.ts'

/** Most notifications one record may cause; further ones are ignored. */
export const MAX_NOTIFICATIONS_PER_RECORD = 64
/** Longest reason, in characters. */
const MAX_REASON_LENGTH = 64

/** What a row does to the rest of the index while it counts, still in text. */
export interface EffectsText {
  /** Stored path name and target text. */
  readonly links: readonly { readonly path: string; readonly target: string }[]
  /** Counter name and target text. */
  readonly counters: readonly { readonly name: string; readonly target: string }[]
  readonly notifications: readonly {
    readonly recipient: string
    readonly reason: string
    readonly subject: string
  }[]
  readonly search: readonly string[] | undefined
  /** The row spelled out, where the declaration derives own tables from it. */
  readonly derived: RowInput | undefined
}

/** Derives all effects of a record. Pure; the same for the same record, which is what makes them undoable. */
export function deriveEffects(
  collection: CollectionSchema,
  did: string,
  rkey: string,
  values: readonly DraftValue[],
  draft: Draft | undefined,
): EffectsText {
  const links: { path: string; target: string }[] = []
  for (const index of collection.linkColumns) {
    const value = values[index]
    const column = collection.columns[index]
    if (typeof value === 'string' && column !== undefined)
      links.push({ path: column.name, target: value })
  }
  if (draft !== undefined) for (const link of draft.links) links.push(link)

  const row = collection.needsRow
    ? rowInputOf(collection, did, rkey, values, draft?.record)
    : undefined
  const counters: { name: string; target: string }[] = []
  for (const counter of collection.counters) {
    const value = counter.column === -1 ? did : values[counter.column]
    if (typeof value !== 'string') continue
    if (
      counter.where !== undefined &&
      row !== undefined &&
      !callPure(collection, counter.where, row)
    )
      continue
    counters.push({ name: counter.name, target: value })
  }
  return {
    links,
    counters,
    notifications:
      collection.notify === undefined || row === undefined
        ? []
        : notificationsOf(collection, collection.notify, row),
    derived: collection.derive === undefined ? undefined : row,
    search:
      collection.search.length === 0
        ? undefined
        : collection.search.map((index) => searchText(values[index])),
  }
}

/** Effects of a stored document, from its bytes. */
export function effectsOfDocument(
  collection: CollectionSchema,
  did: string,
  row: StoredRow,
): EffectsText {
  const draft = redraftRecord(collection, row.bytes ?? new Uint8Array())
  return deriveEffects(collection, did, row.rkey, draft.values, draft)
}

function notificationsOf(
  collection: CollectionSchema,
  notify: NonNullable<CollectionSchema['notify']>,
  row: RowInput,
): EffectsText['notifications'] {
  const seen = new Set<string>()
  const notifications: { recipient: string; reason: string; subject: string }[] = []
  for (const { recipient, reason, subject = recipient } of callPure(collection, notify, row)) {
    if (recipient === row.did || !isDid(recipient)) continue
    if (reason === '' || reason.length > MAX_REASON_LENGTH || reason.includes('\u0000')) continue
    if (!isDid(subject) && parseRecordUri(subject) === undefined) continue
    const key = `${reason}\n${recipient}`
    if (seen.has(key)) continue
    if (notifications.length >= MAX_NOTIFICATIONS_PER_RECORD) break
    seen.add(key)
    notifications.push({ recipient, reason, subject })
  }
  return notifications
}

function callPure<T>(collection: CollectionSchema, call: (row: RowInput) => T, row: RowInput): T {
  try {
    return call(row)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new InvalidRecordError(`a declared function of ${collection.name} threw: ${reason}`, {
      cause: error,
    })
  }
}

/** NUL ends a text in places full-text engines read it; it is never a word. */
function searchText(value: DraftValue): string {
  return typeof value === 'string' ? value.replaceAll('\u0000', ' ') : ''
}
