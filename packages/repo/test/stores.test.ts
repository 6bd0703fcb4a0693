import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

import { afterAll, describe, it } from 'vitest'

import { openSqliteRepoStore } from '../src/stores/sqlite.ts'
import { createMemoryRepoStore, type OpenTestStore, repoStoreCases } from '../src/testing/index.ts'

const folder = mkdtempSync(join(tmpdir(), 'skywright-repo-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

let files = 0
const stores: readonly (readonly [string, OpenTestStore])[] = [
  ['memory', (events) => createMemoryRepoStore({ events })],
  [
    'sqlite in memory',
    (events) => openSqliteRepoStore({ database: new DatabaseSync(':memory:'), events }),
  ],
  [
    'sqlite in a file',
    (events) => openSqliteRepoStore({ database: join(folder, `${files++}.sqlite`), events }),
  ],
]

describe.each(stores)('the %s store', (_name, open) => {
  for (const { name, run } of repoStoreCases(open)) it(name, run)
})
