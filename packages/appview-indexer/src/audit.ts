import { rowInputOf } from './draft.ts'
import type { DraftValue } from './draft.ts'
import { readRows } from './query/row-reader.ts'
import { Identities } from './query/identities.ts'
import type { CollectionSchema, CounterSchema, Schema } from './schema.ts'
import type { IndexStore } from './stores/port.ts'

/** A counter that differs from a recount of the rows. */
export interface CounterDrift {
  readonly subject: string
  readonly counter: string
  readonly stored: number
  readonly actual: number
}

const PAGE = 1_000
/** Drifts reported at most: one is alarming, a million are no more useful. */
const MAX_DRIFTS = 1_000

/** Recounts every counter from the rows and compares. Holds one number per counted subject in memory. */
export async function auditCounters(store: IndexStore, schema: Schema): Promise<CounterDrift[]> {
  const identities = new Identities(store)
  const drifts: CounterDrift[] = []
  for (const name of schema.counters) {
    const actual = new Map<number, number>()
    for (const collection of schema.collections)
      for (const counter of collection.counters)
        if (counter.name === name) await recount(store, identities, collection, counter, actual)
    const wrong = new Map<number, { stored: number; actual: number }>()
    for (let after = -1; ;) {
      const rows = await store.query(
        'SELECT c.target, c.n FROM ix_counter c JOIN ix_counter_name m ON m.id = c.counter WHERE m.name = ? AND c.target > ? ORDER BY c.target LIMIT ?',
        [name, after, PAGE],
      )
      for (const row of rows) {
        const target = Number(row['target'])
        const counted = actual.get(target) ?? 0
        actual.delete(target)
        if (counted !== Number(row['n']))
          wrong.set(target, { stored: Number(row['n']), actual: counted })
      }
      const last = rows.at(-1)
      if (rows.length < PAGE || last === undefined) break
      after = Number(last['target'])
    }
    for (const [target, counted] of actual) wrong.set(target, { stored: 0, actual: counted })
    const texts = await identities.texts([...wrong.keys()].slice(0, MAX_DRIFTS))
    for (const [target, difference] of wrong) {
      if (drifts.length >= MAX_DRIFTS) return drifts
      drifts.push({ subject: texts.get(target) ?? String(target), counter: name, ...difference })
    }
  }
  return drifts
}

async function recount(
  store: IndexStore,
  identities: Identities,
  collection: CollectionSchema,
  counter: CounterSchema,
  actual: Map<number, number>,
): Promise<void> {
  const column = counter.column === -1 ? undefined : collection.columns[counter.column]?.name
  const add = (target: number, by: number): void => {
    actual.set(target, (actual.get(target) ?? 0) + by)
  }
  if (counter.where === undefined) {
    const on = column === undefined ? 'repo * 2 + 1' : `"${column}"`
    for (const row of await store.query(
      `SELECT ${on} AS target, count(*) AS n FROM "${collection.name}" WHERE state = 0 AND ${on} IS NOT NULL GROUP BY ${on}`,
      [],
    ))
      add(Number(row['target']), Number(row['n']))
    return
  }
  let after: readonly (string | number)[] = collection.edge ? [0, ''] : [0]
  const keys = collection.edge ? 'repo, rkey' : 'id'
  for (;;) {
    const rows = await store.query(
      `SELECT * FROM "${collection.name}" WHERE state = 0 AND (${keys}) > (${collection.edge ? '?, ?' : '?'}) ORDER BY ${keys} LIMIT ?`,
      [...after, PAGE],
    )
    const read = await readRows(identities, collection, rows)
    rows.forEach((row, index) => {
      const typed = read[index]
      if (typed === undefined || counter.where === undefined) return
      const values = collection.columns.map(({ name, kind }): DraftValue => {
        const value: unknown = (typed as unknown as Record<string, unknown>)[name]
        if (kind === 'json' && value !== undefined) return JSON.stringify(value)
        if (typeof value === 'boolean') return Number(value)
        return typeof value === 'string' || typeof value === 'number' ? value : undefined
      })
      if (!counter.where(rowInputOf(collection, typed.did, typed.rkey, values, typed.record)))
        return
      const target = column === undefined ? Number(row['repo']) * 2 + 1 : row[column]
      if (target !== null && target !== undefined) add(Number(target), 1)
    })
    const last = rows.at(-1)
    if (rows.length < PAGE || last === undefined) return
    after = collection.edge ? [Number(last['repo']), String(last['rkey'])] : [Number(last['id'])]
  }
}
