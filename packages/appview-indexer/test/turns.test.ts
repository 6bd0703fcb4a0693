/** What is long is done in pieces, and everything else has its turn in between. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createCatalog } from '@skywright/xrpc'
import { expect, it } from 'vitest'

import { collection, integer, openIndexer, text } from '../src/index.ts'
import type { AnyCollection, IndexStore } from '../src/index.ts'
import { openSqliteIndexStore } from '../src/stores/sqlite.ts'
import { createFakeNetwork } from '../src/testing/index.ts'
import { bound } from './bound-transaction.ts'

const NOTE = 'com.example.note'
const NOTES = 9_000
/** Rows of one transaction. */
const MOST_ROWS = 2_000

/** What a store saw: its transactions, the most rows derived for own tables in one, and the most read and written in one turn of the event loop. */
interface Seen {
  transactions: number
  derived: number
  read: number
  written: number
}

function watch(inner: IndexStore): { store: IndexStore; seen: Seen } {
  const seen: Seen = { transactions: 0, derived: 0, read: 0, written: 0 }
  const turn = { read: 0, written: 0 }
  const count = (what: 'read' | 'written', rows: number): void => {
    if (turn.read + turn.written === 0) setImmediate(() => (turn.read = turn.written = 0))
    turn[what] += rows
    seen[what] = Math.max(seen[what], turn[what])
  }
  const read = <T extends { readonly length: number }>(rows: T | Promise<T>): T => {
    if (rows instanceof Promise) throw new TypeError('not an embedded store')
    count('read', rows.length)
    return rows
  }
  const store: IndexStore = {
    dialect: inner.dialect,
    prepare: (schema, options) => inner.prepare(schema, options),
    query: (sql, parameters) => inner.query(sql, parameters),
    transact: (work) =>
      inner.transact(function* (tx) {
        seen.transactions++
        let derived = 0
        return yield* work({
          ...bound(tx),
          rowsAfter: (...from) => read(tx.rowsAfter(...from)),
          takeUnfilled: (...from) => read(tx.takeUnfilled(...from)),
          fill: (of, rows) => {
            count('written', rows.length)
            return tx.fill(of, rows)
          },
          write: (changes) => {
            count('written', changes.rowPuts.length + changes.deadPuts.length)
            derived += changes.derived.length
            seen.derived = Math.max(seen.derived, derived)
            return tx.write(changes)
          },
        })
      }),
    [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
  }
  return { store, seen }
}

it('lets the event loop turn while it rebuilds, fills, judges, tries again and takes in a large repo', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'index-turns-'))
  try {
    const network = createFakeNetwork()
    const alice = network.account()
    for (let n = 0; n < NOTES; n += 200)
      alice.commit(
        ...Array.from({ length: 200 }, (_, at) => ({
          collection: NOTE,
          record: { title: `t${(n + at) % 100}`, size: n + at },
        })),
      )
    const lexicons = (maximum: number) =>
      createCatalog({
        lexicon: 1,
        id: NOTE,
        defs: {
          main: {
            type: 'record',
            key: 'tid',
            record: { type: 'object', properties: { size: { type: 'integer', maximum } } },
          },
        },
      })
    const note = (columns: 'title' | 'size', version = 1): AnyCollection =>
      collection(NOTE, {
        version,
        columns: { title: text('title'), ...(columns === 'size' ? { size: integer('size') } : {}) },
        counters: { notes: 'did' },
        derive: {
          tables: { titles: 'title TEXT PRIMARY KEY, n INTEGER NOT NULL' },
          added: (row, sql, own) => {
            sql(
              `INSERT INTO ${own('titles')} VALUES (?, 1) ON CONFLICT (title) DO UPDATE SET n = n + 1`,
              [String(row.record?.['title'])],
            )
          },
          removed: (row, sql, own) => {
            sql(`UPDATE ${own('titles')} SET n = n - 1 WHERE title = ?`, [
              String(row.record?.['title']),
            ])
          },
        },
      })
    const open = async (
      declared: AnyCollection,
      maximum: number,
      more: () => Promise<void> = () => Promise.resolve(),
    ): Promise<Seen> => {
      const { store, seen } = watch(openSqliteIndexStore(join(folder, 'index.db')))
      await using index = await openIndexer({
        store,
        collections: { note: declared },
        lexicons: lexicons(maximum),
        now: () => network.now(),
        deadLetterLimits: { perAccount: NOTES },
      })
      if (maximum === 0) await index.applySnapshot(alice.snapshot())
      await more()
      const kept = NOTES - (await index.status()).deadLetters
      expect(kept).toBe(maximum === 0 ? 1 : Math.min(NOTES, maximum + 1))
      const [row] = await index.sql<{ readonly n: number }>('SELECT sum(n) AS n FROM titles')
      expect(row?.n).toBe(kept)
      expect(await index.audit()).toEqual([])
      return seen
    }
    const works = {
      'a snapshot': await open(note('title'), 0),
      'trying again': await open(note('title'), NOTES),
      filling: await open(note('size'), NOTES),
      'a rebuild': await open(note('size', 2), NOTES),
      judging: await open(note('size', 2), 10),
    }
    for (const [work, { transactions, ...most }] of Object.entries(works)) {
      for (const rows of Object.values(most))
        expect([work, most, rows <= MOST_ROWS]).toEqual([work, most, true])
      expect(most.read + most.written).toBeGreaterThan(400)
      expect(transactions).toBeGreaterThanOrEqual(NOTES / MOST_ROWS)
    }
    expect(works.judging.read).toBe(MOST_ROWS)
    expect(works['a rebuild'].derived).toBe(MOST_ROWS)
  } finally {
    rmSync(folder, { recursive: true })
  }
})
