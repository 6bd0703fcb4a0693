import type { ClientBase } from 'pg'
import { expect, it } from 'vitest'

import { compileSchema } from '../../schema.ts'
import { WHOLE } from '../../shard.ts'
import type { Interner } from './interner.ts'
import { PostgresTransaction } from './transaction.ts'

it('sends nothing more once a statement failed: without a transaction each would count by itself', async () => {
  const sent: string[] = []
  const query = (statement: string | { readonly text: string }): Promise<unknown> => {
    const sql = typeof statement === 'string' ? statement : statement.text
    sent.push(sql)
    return sql === 'BEGIN' ? Promise.reject(new Error('on purpose')) : Promise.resolve({ rows: [] })
  }
  // Nothing else of a client is used here, and no name.
  const client = { query } as unknown as ClientBase
  const schema = compileSchema({})
  const tx = new PostgresTransaction(client, {} as Interner, schema, WHOLE)
  tx.begin('BEGIN')
  await new Promise((resolve) => setImmediate(resolve))
  tx.remember('key', 'value')
  await expect(tx.parked(1)).rejects.toThrow('on purpose')
  await expect(tx.commit()).rejects.toThrow('on purpose')
  expect(sent).toEqual(['BEGIN', 'COMMIT'])
})
