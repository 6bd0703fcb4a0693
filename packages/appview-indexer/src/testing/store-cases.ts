import { contentCases } from './store-cases/content-cases.ts'
import { declarationCases } from './store-cases/declaration-cases.ts'
import { queryCases } from './store-cases/query-cases.ts'
import { stateCases } from './store-cases/state-cases.ts'
import type { TestDatabase } from './store-cases/store-case.ts'

/** One rule every index store must obey; `run` rejects when the store breaks it. */
export interface IndexStoreCase {
  readonly name: string
  readonly run: () => Promise<void>
}

/**
 * The rules of the {@link IndexStore} port as cases for any test runner:
 *
 * `for (const { name, run } of indexStoreCases(create)) it(name, run)`
 */
export function indexStoreCases(
  create: () => TestDatabase | Promise<TestDatabase>,
): readonly IndexStoreCase[] {
  return CASES.flat().map(([name, run]) => ({
    name,
    run: async () => {
      const database = await create()
      try {
        await run(database)
      } finally {
        await database.drop()
      }
    },
  }))
}

const CASES = [stateCases, declarationCases, contentCases, queryCases]
