import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'

import { collection, openIndexer, text } from '../src/index.ts'
import type { CollectionDeclaration, Column } from '../src/index.ts'
import { openSqliteIndexStore } from '../src/stores/sqlite.ts'
import { createFakeNetwork } from '../src/testing/index.ts'
import { NSID } from './social.ts'

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'index-derive-'))
})
afterEach(() => {
  rmSync(folder, { recursive: true })
})

/** Posts a day, in a table of one's own. */
function declare(
  version: number,
  weight: number,
): CollectionDeclaration<{ readonly text: Column<string | undefined> }> {
  const add = (table: string): string =>
    `INSERT INTO ${table} VALUES (?, ?) ON CONFLICT (word) DO UPDATE SET n = n + excluded.n`
  return collection(NSID.POST, {
    version,
    columns: { text: text('text') },
    derive: {
      tables: { posts_by_word: 'word TEXT PRIMARY KEY, n INTEGER NOT NULL' },
      added: (row, sql, own) => sql(add(own('posts_by_word')), [row.text ?? '', weight]),
      removed: (row, sql, own) => sql(add(own('posts_by_word')), [row.text ?? '', -weight]),
    },
  })
}

it('keeps own tables in the same transaction, exact over edits, deletes, takedowns and rebuilds', async () => {
  const network = createFakeNetwork()
  const [alice, bob] = [network.account(), network.account()]
  const one = alice.create(NSID.POST, { text: 'one' })
  const two = alice.create(NSID.POST, { text: 'two' })
  bob.create(NSID.POST, { text: 'one' })
  alice.update(two, { text: 'one' })
  alice.delete(one)
  bob.setStatus(false, 'takendown')
  const path = join(folder, 'index.db')
  const counts = async (version: number, weight: number): Promise<unknown> => {
    await using index = await openIndexer({
      store: openSqliteIndexStore(path),
      collections: { post: declare(version, weight) },
      now: () => network.now(),
    })
    for (const event of network.events) await index.apply([event])
    await index.settle()
    return index.sql('SELECT word, n FROM posts_by_word WHERE n <> 0 ORDER BY word')
  }
  const rows = (n: number): unknown => [expect.objectContaining({ word: 'one', n })]
  expect(await counts(1, 1)).toEqual(rows(1))
  expect(await counts(1, 1)).toEqual(rows(1))
  expect(await counts(2, 5)).toEqual(rows(5))
  bob.setStatus(true)
  expect(await counts(2, 5)).toEqual(rows(10))
})
