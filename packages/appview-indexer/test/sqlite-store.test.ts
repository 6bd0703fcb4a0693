import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'

import { openSqliteIndexStore } from '../src/stores/sqlite.ts'
import { indexStoreCases } from '../src/testing/index.ts'

describe('the SQLite store', () => {
  const cases = indexStoreCases(() => {
    const folder = mkdtempSync(join(tmpdir(), 'index-store-'))
    return {
      open: () => openSqliteIndexStore(join(folder, 'index.db')),
      drop: () => {
        rmSync(folder, { recursive: true })
      },
    }
  })
  for (const { name, run } of cases) it(name, run)

  it('has a whole suite to pass', () => {
    expect(cases.length).toBeGreaterThanOrEqual(10)
  })
})
