import type { SqlValue } from '../sql-value.ts'
import type { IndexTransaction } from './transaction.ts'
import type { Schema } from '../schema.ts'
import type { Shard } from '../shard.ts'

/** SQL differences between stores that the query compiler must know. */
export type SqlDialect = 'sqlite' | 'postgres'

/**
 * Where an index lives. The engine holds all meaning; a store keeps rows and makes one transaction atomic.
 * Every store passes the conformance suite in `@skywright/appview-indexer/testing`.
 */
export interface IndexStore extends AsyncDisposable {
  readonly dialect: SqlDialect
  /**
   * Creates or checks tables for the declared collections. Where a declaration changed, everything stays as it is and a
   * rebuild begins, for {@link IndexTransaction.rebuilds} to tell of.
   *
   * @throws {SchemaMismatchError} when the rows of an edge collection would have to be fetched again and `canFetch` is false
   */
  prepare(
    schema: Schema,
    options: { readonly canFetch: boolean; readonly shard: Shard },
  ): Promise<void>
  /**
   * Runs one write transaction; transactions are serial. Whatever `work` yields is awaited if it is a promise.
   * Throwing rolls everything back. @throws {StoreFailureError} when the database refuses
   */
  transact<T>(work: (tx: IndexTransaction) => Generator<unknown, T, unknown>): Promise<T>
  /** Reads committed data: a consistent snapshot per call. */
  query(sql: string, parameters: readonly SqlValue[]): Promise<readonly Record<string, SqlValue>[]>
}
