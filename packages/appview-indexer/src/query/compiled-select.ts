import type { Row } from '../collection.ts'
import { InvalidQueryError } from '../errors.ts'
import type { CollectionSchema } from '../schema.ts'
import type { IndexStore } from '../stores/port.ts'
import { marks } from './identities.ts'
import type { Identities } from './identities.ts'
import { redactionSql } from './labels.ts'
import type { AcceptedLabelers } from './labels.ts'
import type { SqlValue } from '../sql-value.ts'
import { decodeCursor, encodeCursor } from './keyset-cursor.ts'
import type { Page, PageOptions } from './page.ts'
import { readRows } from './row-reader.ts'
import { searchExpression } from './search-expression.ts'
import type { Comparison } from './select.ts'
import { parseRecordUri } from '../target.ts'
import { BOUND_LIMIT } from '../stores/bound-limit.ts'

/** Most rows of one page. */
export const MAX_PAGE_ROWS = 1_000
/** Rows of a page when nothing else was asked for. */
export const DEFAULT_PAGE_ROWS = 50
/** Most values in one equality condition. */
const MAX_VALUES = 10_000

type Scalar = string | number | boolean

/** One condition; all must hold. */
type Condition =
  | { readonly kind: 'in'; readonly column: string; readonly values: readonly Scalar[] }
  | { readonly kind: 'absent'; readonly column: string }
  | {
      readonly kind: 'compare'
      readonly column: string
      readonly comparison: Comparison
      readonly value: Scalar
    }
  | { readonly kind: 'search'; readonly words: string }
  | { readonly kind: 'redacted'; readonly accepted: AcceptedLabelers }

/** What a select reads from. */
export interface SelectContext {
  readonly store: IndexStore
  readonly identities: Identities
  readonly changed: (signal?: AbortSignal) => Promise<ReadonlySet<string>>
  /** Unix milliseconds. */
  readonly now: () => number
}

interface Sql {
  readonly where: string
  readonly parameters: readonly SqlValue[]
}

const COMPARISONS: ReadonlySet<string> = new Set(['=', '!=', '<', '<=', '>', '>='])

/** An immutable query; see `Select`. Column names were checked against the declaration, values are always bound. */
export class CompiledSelect {
  readonly #context: SelectContext
  readonly #collection: CollectionSchema
  readonly #conditions: readonly Condition[]
  readonly #order: { readonly column: string; readonly descending: boolean }

  constructor(
    context: SelectContext,
    collection: CollectionSchema,
    conditions: readonly Condition[] = [],
    order: { readonly column: string; readonly descending: boolean } = {
      column: 'sortAt',
      descending: true,
    },
  ) {
    this.#context = context
    this.#collection = collection
    this.#conditions = conditions
    this.#order = order
  }

  where(
    first: string | Readonly<Record<string, unknown>>,
    comparison?: Comparison,
    value?: unknown,
  ): CompiledSelect {
    if (typeof first === 'string') {
      if (comparison === undefined || !COMPARISONS.has(comparison))
        throw new InvalidQueryError(`unknown comparison ${String(comparison)}`)
      return this.#and([
        { kind: 'compare', column: this.#column(first), comparison, value: scalar(value) },
      ])
    }
    const added: Condition[] = []
    for (const [name, wanted] of Object.entries(first)) {
      if (wanted === undefined) continue
      const column = this.#column(name)
      if (wanted === null) added.push({ kind: 'absent', column })
      else {
        const values = (Array.isArray(wanted) ? wanted : [wanted]).map(scalar)
        if (values.length > MAX_VALUES)
          throw new InvalidQueryError(`more than ${MAX_VALUES} values for ${column}`)
        added.push({ kind: 'in', column, values })
      }
    }
    return this.#and(added)
  }

  search(words: string): CompiledSelect {
    if (this.#collection.search.length === 0)
      throw new InvalidQueryError(`${this.#collection.name} declares no search`)
    return this.#and([{ kind: 'search', words }])
  }

  withoutRedacted(accepted: AcceptedLabelers): CompiledSelect {
    return this.#and([{ kind: 'redacted', accepted }])
  }

  orderBy(column: string, direction: 'asc' | 'desc' = 'asc'): CompiledSelect {
    const name = this.#column(column)
    if (name === 'did' || name === 'uri') throw new InvalidQueryError(`cannot order by ${name}`)
    return new CompiledSelect(this.#context, this.#collection, this.#conditions, {
      column: name,
      descending: direction === 'desc',
    })
  }

  async page(options: PageOptions = {}): Promise<Page<Row>> {
    const { limit = DEFAULT_PAGE_ROWS, cursor } = options
    checkLimit(limit)
    const compiled = await this.#compile()
    if (compiled === undefined) return { rows: [] }
    const { column, descending } = this.#order
    const ties = this.#collection.edge ? ['repo', 'rkey'] : ['id']
    const keys = [...new Set([column, ...ties])]
    const parameters = [...compiled.parameters]
    let after = ''
    if (cursor !== undefined) {
      const position = decodeCursor(cursor, this.#orderName(), this.#keyTypes(keys))
      const list = keys.map(quoted).join(', ')
      // The plain bound on the leading column lets the index seek; the row comparison settles ties.
      after = ` AND ${quoted(column)} ${descending ? '<=' : '>='} ? AND (${list}) ${descending ? '<' : '>'} (${marks(keys.length)})`
      parameters.push(position[0] ?? 0, ...position)
    }
    const direction = descending ? 'DESC' : 'ASC'
    const rows = await this.#context.store.query(
      `SELECT * FROM ${quoted(this.#collection.name)} WHERE ${compiled.where} AND ${quoted(column)} IS NOT NULL${after} ORDER BY ${keys
        .map((key) => `${quoted(key)} ${direction}`)
        .join(', ')} ${BOUND_LIMIT}`,
      [...parameters, limit + 1],
    )
    const kept = rows.slice(0, limit)
    const last = kept.at(-1)
    const page = await readRows(this.#context.identities, this.#collection, kept)
    if (rows.length <= limit || last === undefined) return { rows: page }
    const position = keys.map((key) => {
      const value = last[key]
      return typeof value === 'string' ? value : Number(value)
    })
    return { rows: page, cursor: encodeCursor(this.#orderName(), position) }
  }

  async first(): Promise<Row | undefined> {
    const { rows } = await this.page({ limit: 1 })
    return rows[0]
  }

  async count(): Promise<number> {
    const compiled = await this.#compile()
    if (compiled === undefined) return 0
    const rows = await this.#context.store.query(
      `SELECT count(*) AS n FROM ${quoted(this.#collection.name)} WHERE ${compiled.where}`,
      compiled.parameters,
    )
    return Number(rows[0]?.['n'] ?? 0)
  }

  async *live(
    options: { readonly limit?: number; readonly signal?: AbortSignal } = {},
  ): AsyncGenerator<readonly Row[], void, void> {
    const { limit = DEFAULT_PAGE_ROWS, signal } = options
    const { changed } = this.#context
    while (signal?.aborted !== true) {
      // Listening starts before reading: a change while the page is read is not missed.
      const next = this.#nextChange(changed, signal)
      const { rows } = await this.page({ limit })
      yield rows
      if (!(await next)) return
    }
  }

  async #nextChange(
    changed: SelectContext['changed'],
    signal: AbortSignal | undefined,
  ): Promise<boolean> {
    try {
      for (;;) if ((await changed(signal)).has(this.#collection.name)) return true
    } catch (error) {
      if (signal?.aborted === true) return false
      throw error
    }
  }

  #and(conditions: readonly Condition[]): CompiledSelect {
    return new CompiledSelect(
      this.#context,
      this.#collection,
      [...this.#conditions, ...conditions],
      this.#order,
    )
  }

  #column(name: string): string {
    const known =
      ['did', 'rkey', 'uri', 'sortAt', 'indexedAt'].includes(name) ||
      this.#collection.columns.some((column) => column.name === name)
    if (!known) throw new InvalidQueryError(`${this.#collection.name} has no column ${name}`)
    return name
  }

  #orderName(): string {
    return `${this.#collection.name}.${this.#order.column}.${this.#order.descending ? 'd' : 'a'}`
  }

  #keyTypes(keys: readonly string[]): ('string' | 'number')[] {
    return keys.map((key) => {
      if (key === 'rkey') return 'string'
      const kind = this.#collection.columns.find(({ name }) => name === key)?.kind
      return kind === 'text' || kind === 'json' ? 'string' : 'number'
    })
  }

  /** SQL of all conditions; undefined when they can match nothing. */
  async #compile(): Promise<Sql | undefined> {
    const where = ['state = 0']
    const parameters: SqlValue[] = []
    const linked = this.#linkedCondition()
    if (linked !== undefined) {
      const part = await this.#linkCondition(linked)
      if (part === undefined) return undefined
      where.push(part.where)
      parameters.push(...part.parameters)
    }
    for (const condition of this.#conditions) {
      const part = await this.#condition(condition)
      if (part === undefined) return undefined
      where.push(part.where)
      parameters.push(...part.parameters)
    }
    return { where: where.join(' AND '), parameters }
  }

  async #condition(condition: Condition): Promise<Sql | undefined> {
    switch (condition.kind) {
      case 'search': {
        const { dialect } = this.#context.store
        const expression = searchExpression(condition.words, dialect)
        if (expression === '') return undefined
        const table = quoted(`ix_search_${this.#collection.name}`)
        if (dialect === 'postgres')
          return {
            where: `id IN (SELECT id FROM ${table} WHERE words @@ CAST(? AS TSQUERY))`,
            parameters: [expression],
          }
        return {
          where: `id IN (SELECT rowid FROM ${table} WHERE ${table} MATCH ?)`,
          parameters: [expression],
        }
      }
      case 'redacted': {
        const { identities, now } = this.#context
        const sql = await redactionSql(identities, condition.accepted, this.#ownTarget(), now())
        return sql ?? { where: '1 = 1', parameters: [] }
      }
      case 'absent':
        return { where: `${quoted(condition.column)} IS NULL`, parameters: [] }
      case 'in': {
        if (condition.column === 'uri') return this.#uriCondition(condition.values)
        const values = await this.#stored(condition.column, condition.values)
        if (values.length === 0) return undefined
        const column = quoted(condition.column === 'did' ? 'repo' : condition.column)
        return {
          where: values.length === 1 ? `${column} = ?` : `${column} IN (${marks(values.length)})`,
          parameters: values,
        }
      }
      case 'compare': {
        const { column, comparison, value } = condition
        if (column === 'uri') throw new InvalidQueryError('compare uris with = in a condition')
        const target = column === 'did' || this.#isTarget(column)
        if (target && comparison !== '=' && comparison !== '!=')
          throw new InvalidQueryError(`${column} has no order`)
        const [stored] = await this.#stored(column, [value])
        const name = quoted(column === 'did' ? 'repo' : column)
        if (stored === undefined)
          return comparison === '=' ? undefined : { where: `${name} IS NOT NULL`, parameters: [] }
        return { where: `${name} ${comparison} ?`, parameters: [stored] }
      }
    }
  }

  /**
   * Edges keep no index on their link columns: the link table is that index. Answers the first equality
   * on a linked column that no declared index serves.
   */
  #linkedCondition(): Extract<Condition, { kind: 'in' }> | undefined {
    if (!this.#collection.edge) return undefined
    for (const condition of this.#conditions) {
      if (condition.kind !== 'in') continue
      const index = this.#collection.columns.findIndex(({ name }) => name === condition.column)
      if (!this.#collection.linkColumns.includes(index)) continue
      const served =
        this.#collection.columns[index]?.index === true ||
        this.#collection.indexes.some((parts) => parts.slice(0, 2).includes(condition.column))
      if (!served) return condition
    }
    return undefined
  }

  async #linkCondition(condition: Extract<Condition, { kind: 'in' }>): Promise<Sql | undefined> {
    const targets = await this.#stored(condition.column, condition.values)
    const author = this.#conditions.find(
      (other): other is Extract<Condition, { kind: 'in' }> =>
        other.kind === 'in' && other.column === 'did',
    )
    const repos = author === undefined ? undefined : await this.#stored('did', author.values)
    if (targets.length === 0 || repos?.length === 0) return undefined
    const byRepo = repos === undefined ? '' : ` AND repo IN (${marks(repos.length)})`
    return {
      where: `(repo, rkey) IN (SELECT repo, rkey FROM ix_link WHERE target IN (${marks(targets.length)}) AND path = (
        SELECT p.id * 2 FROM ix_path p JOIN ix_space n ON n.id = p.space WHERE n.name = ? AND p.path = ?)${byRepo})`,
      parameters: [...targets, this.#collection.nsid, condition.column, ...(repos ?? [])],
    }
  }

  async #uriCondition(uris: readonly Scalar[]): Promise<Sql | undefined> {
    if (!this.#collection.edge) {
      const targets = await this.#context.identities.targets(uris.map(String))
      const ids = [...targets.entries()]
        .filter(([uri]) => parseRecordUri(uri)?.collection === this.#collection.nsid)
        .map(([, target]) => target / 2)
      return ids.length === 0
        ? undefined
        : { where: `id IN (${marks(ids.length)})`, parameters: ids }
    }
    const parsed = uris.flatMap((uri) => {
      const parts = parseRecordUri(String(uri))
      return parts?.collection === this.#collection.nsid ? [parts] : []
    })
    const repos = await this.#context.identities.repos(parsed.map(({ did }) => did))
    const keys = parsed.flatMap(({ did, rkey }) => {
      const repo = repos.get(did)
      return repo === undefined ? [] : [[repo, rkey] as const]
    })
    if (keys.length === 0) return undefined
    return {
      where: `(repo, rkey) IN (VALUES ${keys.map(() => '(?, ?)').join(', ')})`,
      parameters: keys.flat(),
    }
  }

  /** SQL of the row's own target id; edges have one only when something points to them. */
  #ownTarget(): string {
    const { edge, name, nsid } = this.#collection
    return edge
      ? `(SELECT u.id * 2 FROM ix_uri u JOIN ix_nsid n ON n.id = u.nsid
          WHERE n.name = '${nsid}' AND u.repo = ${quoted(name)}.repo AND u.rkey = ${quoted(name)}.rkey)`
      : 'id * 2'
  }

  #isTarget(name: string): boolean {
    const kind = this.#collection.columns.find((column) => column.name === name)?.kind
    return kind === 'uri' || kind === 'did'
  }

  /** Values as the column stores them; targets the index never met are left out. */
  async #stored(column: string, values: readonly Scalar[]): Promise<SqlValue[]> {
    if (column === 'did')
      return [...(await this.#context.identities.repos(values.map(String))).values()]
    if (this.#isTarget(column))
      return [...(await this.#context.identities.targets(values.map(String))).values()]
    return values.map((value) => (typeof value === 'boolean' ? Number(value) : value))
  }
}

/** @throws {InvalidQueryError} */
export function checkLimit(limit: number): void {
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_PAGE_ROWS)
    throw new InvalidQueryError(`limit must be 1 to ${MAX_PAGE_ROWS}`)
}

function scalar(value: unknown): Scalar {
  if (typeof value === 'string' || typeof value === 'boolean') return value
  if (typeof value === 'number' && Number.isSafeInteger(value)) return value
  throw new InvalidQueryError('values must be strings, safe integers or booleans')
}

function quoted(name: string): string {
  return `"${name}"`
}
