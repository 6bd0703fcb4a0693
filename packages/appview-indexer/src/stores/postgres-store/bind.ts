import type { SqlValue } from '../../sql-value.ts'

/** A statement as Postgres takes it. */
export interface BoundStatement {
  readonly text: string
  readonly values: readonly SqlValue[]
}

/**
 * Turns `?` marks into numbered parameters with their type said, which Postgres could not tell in places like
 * `VALUES (?, ?)`. Marks inside quotes are left alone; so is a statement that numbers its parameters itself.
 */
export function bind(sql: string, parameters: readonly SqlValue[]): BoundStatement {
  if (parameters.length === 0 || /\$1\b/.test(sql)) return { text: sql, values: parameters }
  let next = 0
  const text = sql.replaceAll(/'(?:[^']|'')*'|"[^"]*"|\?/g, (part) =>
    part === '?' ? `$${++next}::${sqlType(parameters[next - 1])}` : part,
  )
  return { text, values: parameters }
}

function sqlType(value: SqlValue | undefined): string {
  if (typeof value === 'string') return 'text'
  if (typeof value === 'bigint') return 'bigint'
  if (typeof value === 'number') return Number.isInteger(value) ? 'bigint' : 'double precision'
  return value instanceof Uint8Array ? 'bytea' : 'text'
}
