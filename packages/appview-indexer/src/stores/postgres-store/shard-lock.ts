import type { ClientBase } from 'pg'

import { StoreFailureError } from '../../errors.ts'
import type { Shard } from '../../shard.ts'

/** How many processes share the index is part of the index while any of them runs. */
const COUNT_KEY = "hashtext('count ' || current_schema())"
const SHARD_KEY = "hashtext('shard ' || current_schema())"

/**
 * Takes a shard for as long as the connection lives. A process that was killed lets go when its connection ends.
 *
 * @throws {StoreFailureError} when another process keeps the shard, or others run with another count of shards
 */
export async function claimShard(
  client: ClientBase,
  { index, count }: Shard,
  timeoutMs: number,
): Promise<void> {
  const claim = async (statement: string, refusal: string): Promise<void> => {
    try {
      await client.query(statement)
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === LOCK_TIMEOUT)
        throw new StoreFailureError(refusal, { cause: error })
      throw error
    }
  }
  await client.query(`SET lock_timeout = ${Math.ceil(timeoutMs)}`)
  await client.query('BEGIN; SELECT pg_advisory_xact_lock(hashtext(current_schema()), 3)')
  const { rows } = await client.query<{ value: string }>(
    "SELECT value FROM ix_meta WHERE key = 'shards'",
  )
  const before = Number(rows[0]?.value ?? count)
  if (before !== count) {
    await claim(
      `SELECT pg_advisory_lock(${COUNT_KEY}, ${before}), pg_advisory_unlock(${COUNT_KEY}, ${before})`,
      `other processes share the index as ${before} shards, not ${count}`,
    )
  }
  await client.query(
    `INSERT INTO ix_meta VALUES ('shards', '${count}') ON CONFLICT (key) DO UPDATE SET value = excluded.value`,
  )
  await client.query(`SELECT pg_advisory_lock_shared(${COUNT_KEY}, ${count})`)
  await client.query('COMMIT')
  await claim(
    `SELECT pg_advisory_lock(${SHARD_KEY}, ${index})`,
    `another process writes shard ${index} of ${count}`,
  )
  await client.query('SET lock_timeout = 0')
}

/** Ends the transaction with `LOCK_TIMEOUT` when a process still writes a shard, after waiting for it to end. */
export async function excludeShards(client: ClientBase, timeoutMs: number): Promise<void> {
  const { rows } = await client.query<{ value: string }>(
    "SELECT value FROM ix_meta WHERE key = 'shards'",
  )
  const count = rows[0]?.value
  if (count === undefined) return
  await client.query(`SET LOCAL lock_timeout = ${Math.ceil(timeoutMs)}`)
  await client.query(`SELECT pg_advisory_xact_lock(${COUNT_KEY}, ${Number(count)})`)
  await client.query('SET LOCAL lock_timeout = 0')
}

/** What Postgres says when a lock was not to be had in time. */
export const LOCK_TIMEOUT = '55P03'
