import { DatabaseError, types } from 'pg'
import type { CustomTypesConfig } from 'pg'

import { StoreFailureError } from '../../errors.ts'

const INT8 = 20

/** Integers are read as numbers: every id and time of the index is a safe integer. */
export const TYPES: CustomTypesConfig = {
  getTypeParser: (oid, format) =>
    Number(oid) === INT8 ? Number : (types.getTypeParser(oid, format) as (text: string) => unknown),
}

/** Serialization failure, deadlock, and a handle two accounts were given at once: the same again may work. */
const CONFLICTS: ReadonlySet<string> = new Set(['40001', '40P01', '23505'])

/** Classes of errors that lie in the data or the statement, not in the state of the database. */
const FAULTS: ReadonlySet<string> = new Set(['21', '22', '23', '42', '54'])

/** Whether another transaction was in the way. */
export function isConflict(error: unknown): boolean {
  return error instanceof DatabaseError && CONFLICTS.has(error.code ?? '')
}

/** Whether a statement was refused only because an earlier one of its transaction had failed. */
export function isAborted(error: unknown): boolean {
  return error instanceof DatabaseError && error.code === '25P02'
}

/** Whether the same statement would fail again and again. */
export function isFault(error: unknown): boolean {
  return error instanceof DatabaseError && FAULTS.has((error.code ?? '').slice(0, 2))
}

/** What the caller is told when the database refuses. */
export function storeFailure(error: unknown): StoreFailureError {
  const reason = error instanceof Error ? error.message : String(error)
  return new StoreFailureError(reason, { cause: error, retryable: !isFault(error) })
}
