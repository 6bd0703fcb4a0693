import { ASIDE } from '../shadow.ts'

/** Ends names of what was replaced and is to be removed. The id makes them differ. */
export const REPLACED: string = `${ASIDE}old`

/** SQL: the ids of a name table that were replaced. */
export function replaced(table: string): string {
  return `SELECT id FROM ${table} WHERE name LIKE '%${REPLACED}%'`
}

/** A table that holds rows of replaced names among others: it is walked once, in key order. */
export interface Walk {
  readonly table: string
  readonly keys: readonly string[]
  /** SQL: whether a row is of what was replaced. */
  readonly where: string
}

/** The walks that remove what a swap replaced, in order. */
export const WALKS: readonly Walk[] = [
  {
    table: 'ix_link',
    keys: ['target', 'path', 'repo', 'rkey'],
    where: `path / 2 IN (SELECT id FROM ix_path WHERE space IN (${replaced('ix_space')}))`,
  },
  {
    table: 'ix_counter',
    keys: ['target', 'counter'],
    where: `counter IN (${replaced('ix_counter_name')})`,
  },
  {
    table: 'ix_notification',
    keys: ['recipient', 'sortAt', 'repo', 'space', 'rkey', 'reason'],
    where: `space IN (${replaced('ix_space')})`,
  },
]

/** Statements that remove the rest at the end. */
export const LAST_REMAINS: readonly string[] = [
  `DELETE FROM ix_gate WHERE space IN (${replaced('ix_space')})`,
  `DELETE FROM ix_gate_due WHERE space IN (${replaced('ix_space')})`,
  `DELETE FROM ix_dead WHERE space IN (${replaced('ix_space')})`,
  `DELETE FROM ix_path WHERE space IN (${replaced('ix_space')})`,
  `DELETE FROM ix_counter_name WHERE name LIKE '%${REPLACED}%'`,
  `DELETE FROM ix_space WHERE name LIKE '%${REPLACED}%'`,
  "DELETE FROM ix_meta WHERE key = 'remains'",
]

/** Where the walks are: which one, and the last key looked at; stored as text. */
export interface Remains {
  readonly walk: number
  readonly after: readonly (string | number)[]
}

/** Reads a stored position; the start where there is none. */
export function readRemains(stored: unknown): Remains {
  // Written by this file.
  return typeof stored === 'string' ? (JSON.parse(stored) as Remains) : { walk: 0, after: [] }
}

/** SQL of a piece of a walk: the end of the piece (the key `limit` rows on), and what removes rows in between. */
export function walkSql(
  { table, keys, where }: Walk,
  after: boolean,
  until: boolean,
  quote: (name: string) => string,
): { readonly end: string; readonly remove: string } {
  const list = keys.map(quote).join(', ')
  const marks = keys.map(() => '?').join(', ')
  const bounds = [
    ...(after ? [`(${list}) > (${marks})`] : []),
    ...(until ? [`(${list}) <= (${marks})`] : []),
  ]
  return {
    end: `SELECT ${list} FROM ${table}${after ? ` WHERE (${list}) > (${marks})` : ''} ORDER BY ${list} LIMIT 1 OFFSET ?`,
    remove: `DELETE FROM ${table} WHERE ${[...bounds, where].join(' AND ')}`,
  }
}

/** Names of counters that a swap replaces: those derived anew, and old ones that no other collection counts by now. */
export function replacedCounters(
  declared: readonly string[],
  old: readonly string[],
  others: ReadonlySet<string>,
): string[] {
  return [...new Set([...declared, ...old.filter((name) => !others.has(name))])]
}
