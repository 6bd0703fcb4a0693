import type { IndexStore } from '../../stores/port.ts'

/** An empty database of its own for one case, opened once or several times after each other. */
export interface TestDatabase {
  open(): IndexStore
  drop(): Promise<void> | void
}

/** A rule, and what shows that a store obeys it. */
export type StoreCase = readonly [name: string, run: (database: TestDatabase) => Promise<void>]
