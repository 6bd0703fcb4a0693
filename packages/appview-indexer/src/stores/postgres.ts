/**
 * The index store on PostgreSQL, for one process or several that share an index. Needs the package `pg`.
 *
 * @packageDocumentation
 */
import { Client, Pool } from 'pg'
import type { ClientConfig } from 'pg'

import { IndexerError } from '../errors.ts'
import type { Schema } from '../schema.ts'
import type { Shard } from '../shard.ts'
import type { SqlValue } from '../sql-value.ts'
import type { IndexStore } from './port.ts'
import { bind } from './postgres-store/bind.ts'
import { isConflict, isFault, storeFailure, TYPES } from './postgres-store/connection.ts'
import { Interner } from './postgres-store/interner.ts'
import { layOut } from './postgres-store/layout.ts'
import { claimShard } from './postgres-store/shard-lock.ts'
import { PostgresTransaction } from './postgres-store/transaction.ts'
import type { IndexTransaction } from './transaction.ts'

/** How a Postgres index is reached. */
export interface PostgresIndexStoreOptions {
  /** `postgres://user:password@host/database`; tables go to the first schema of its search path. */
  readonly connectionString: string
  /** Connections for reading, beside the one that writes. @defaultValue 4 */
  readonly maxReadConnections?: number
  /** How long to wait for other processes that still write the same shard or by another declaration, in milliseconds. @defaultValue 10000 */
  readonly lockTimeoutMs?: number
}

/** A transaction that others were in the way of is run again this often. */
const MAX_CONFLICTS = 10

/**
 * An index in a PostgreSQL database (14 or newer). Nothing is connected until an indexer opens; lost connections are
 * made again. Writes wait for the disk as the server is configured to.
 *
 * Several processes may share the index when each is given its `shard`; a second process on the same shard is refused.
 */
export function openPostgresIndexStore(options: PostgresIndexStoreOptions): IndexStore {
  return new PostgresIndexStore(options)
}

class PostgresIndexStore implements IndexStore {
  readonly dialect = 'postgres'
  readonly #config: ClientConfig
  readonly #lockTimeoutMs: number
  readonly #pool: Pool
  readonly #names: Interner
  #open: { readonly client: Client; readonly transaction: PostgresTransaction } | undefined
  #prepared: { readonly schema: Schema; readonly shard: Shard } | undefined
  #closed = false

  constructor(options: PostgresIndexStoreOptions) {
    const { connectionString, maxReadConnections = 4, lockTimeoutMs = 10_000 } = options
    this.#config = { connectionString, types: TYPES, application_name: 'skywright' }
    this.#lockTimeoutMs = lockTimeoutMs
    this.#pool = new Pool({ ...this.#config, max: maxReadConnections })
    // An idle connection that breaks is replaced by the pool; whoever needs one then is told.
    this.#pool.on('error', () => undefined)
    // What it stores are names. A batch that uses one commits later, and waits for the disk: then that name is there too.
    this.#pool.on('connect', (client) => {
      client.query('SET synchronous_commit = off').catch(() => undefined)
    })
    this.#names = new Interner(this.#pool)
  }

  async prepare(
    schema: Schema,
    options: { readonly canFetch: boolean; readonly shard: Shard },
  ): Promise<void> {
    const { canFetch, shard } = options
    await this.#guard(async () => {
      for (let attempt = 1; ; attempt++) {
        try {
          await this.#layOut(schema, canFetch)
          break
        } catch (error) {
          // New tables and indexes may meet the writers of other processes.
          if (!isConflict(error) || attempt === MAX_CONFLICTS) throw error
        }
      }
      this.#prepared = { schema, shard }
      await this.#writer()
    })
  }

  async #layOut(schema: Schema, canFetch: boolean): Promise<void> {
    const client = await this.#connect()
    try {
      await client.query('BEGIN; SELECT pg_advisory_xact_lock(hashtext(current_schema()), 1)')
      await layOut(client, schema, { canFetch, lockTimeoutMs: this.#lockTimeoutMs })
      await client.query('COMMIT')
    } finally {
      await client.end()
    }
  }

  async transact<T>(work: (tx: IndexTransaction) => Generator<unknown, T, unknown>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#attempt(work)
      } catch (error) {
        if (isConflict(error) && attempt < MAX_CONFLICTS) continue
        // What lies in the data would fail for ever: the indexer finds the event and goes on.
        if (error instanceof IndexerError || isFault(error) || !isDatabaseError(error)) throw error
        this.#names.forget()
        throw storeFailure(error)
      }
    }
  }

  async #attempt<T>(work: (tx: IndexTransaction) => Generator<unknown, T, unknown>): Promise<T> {
    const { transaction } = await this.#writer()
    const serial = this.#prepared?.schema.hasGates === true
    try {
      transaction.begin(serial ? BEGIN_SERIAL : 'BEGIN')
      const result = await drive(work(transaction))
      await transaction.commit()
      return result
    } catch (error) {
      try {
        await transaction.rollBack()
      } catch {
        // The connection is gone, and the transaction with it.
        this.#drop()
      }
      throw transaction.causeOf(error)
    }
  }

  async query(
    sql: string,
    parameters: readonly SqlValue[],
  ): Promise<readonly Record<string, SqlValue>[]> {
    return this.#guard(async () => {
      const { text, values } = bind(sql, parameters)
      const { rows } = await this.#pool.query<Record<string, SqlValue>>(text, [...values])
      return rows
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    const open = this.#open
    this.#open = undefined
    await open?.client.end()
    await this.#pool.end()
  }

  /** The writing connection, made again when it was lost, holding the shard. */
  async #writer(): Promise<{ client: Client; transaction: PostgresTransaction }> {
    const prepared = this.#prepared
    if (prepared === undefined || this.#closed) throw new TypeError('prepare was not called')
    if (this.#open !== undefined) return this.#open
    const client = await this.#connect({ pipeline: true })
    try {
      await claimShard(client, prepared.shard, this.#lockTimeoutMs)
    } catch (error) {
      await client.end()
      throw error
    }
    // The database may have lost what was stored last, if it is not only the connection that is new.
    this.#names.forget()
    const { schema, shard } = prepared
    const transaction = new PostgresTransaction(client, this.#names, schema, shard)
    const open = { client, transaction }
    this.#open = open
    const lost = (): void => {
      if (this.#open === open) this.#open = undefined
    }
    client.on('end', lost)
    return open
  }

  async #connect(options: ClientConfig = {}): Promise<Client> {
    const client = new Client({ ...this.#config, ...options })
    // Without a listener a broken connection would end the process; the next statement reports it.
    client.on('error', () => undefined)
    await client.connect()
    return client
  }

  #drop(): void {
    const open = this.#open
    this.#open = undefined
    // Already broken: nobody waits for its end.
    open?.client.end().catch(() => undefined)
  }

  async #guard<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      if (error instanceof IndexerError || !isDatabaseError(error)) throw error
      throw storeFailure(error)
    }
  }
}

/** Gates look at rows of other accounts: with them, transactions of all processes run one after the other. */
const BEGIN_SERIAL = 'BEGIN; SELECT pg_advisory_xact_lock(hashtext(current_schema()), 2)'

/** Runs steps, waiting where the answer is a promise. */
async function drive<T>(steps: Generator<unknown, T, unknown>): Promise<T> {
  let step = steps.next()
  while (step.done !== true) {
    const answer: unknown = step.value instanceof Promise ? await step.value : step.value
    step = steps.next(answer)
  }
  return step.value
}

/** Whether an error came from the database or the way to it: `pg` throws plain errors for lost connections. */
function isDatabaseError(error: unknown): boolean {
  if (!(error instanceof Error) || error instanceof TypeError || error instanceof RangeError)
    return false
  return 'code' in error || error.message.toLowerCase().includes('connection')
}
