import type {
  AnyCollection,
  Columns,
  GateLookup,
  NameOwnTable,
  NotificationInput,
  RowInput,
  TransactionSql,
} from './collection.ts'
import type { Column, ColumnKind, RecordObject } from './column.ts'
import { InvalidDeclarationError } from './errors.ts'
import { isNsid } from './target.ts'

/** Most columns one collection may declare. */
export const MAX_COLUMNS = 64
/** Largest `retain.perRepo`: the keys of an account are read with every new record of it. */
export const MAX_PER_REPO = 10_000
const MAX_RETAIN_DAYS = 36_500
const DAY_MS = 86_400_000

const NAME = /^[a-z][A-Za-z0-9]{0,39}$/
const OWN_TABLE = /^[a-z][A-Za-z0-9_]{0,39}$/
const RESERVED_TABLES = /^(?:ix|sqlite|pg)/i
const RESERVED_COLUMNS = new Set(
  [
    'id',
    'repo',
    'did',
    'rkey',
    'uri',
    'cid',
    'state',
    'indexedAt',
    'sortAt',
    'bytes',
    'record',
    'rank',
    'rowid',
  ].map((name) => name.toLowerCase()),
)

/** One compiled column. */
export interface ColumnSchema {
  readonly name: string
  readonly kind: ColumnKind
  /** Path segments, or undefined when a function computes the value. */
  readonly path: readonly string[] | undefined
  readonly compute: ((record: RecordObject) => unknown) | undefined
  readonly required: boolean
  readonly index: boolean
  /** Whether any index, also of uniqueness, holds its values. */
  readonly indexed: boolean
}

/** One compiled counter: counts active rows on a target. */
export interface CounterSchema {
  readonly name: string
  /** Index into `columns`, or -1 for the author. */
  readonly column: number
  readonly where: ((row: RowInput) => boolean) | undefined
}

/** One own table of a declaration. */
export interface OwnTable {
  readonly name: string
  /** What it is called: its name, or another while it is derived anew. */
  readonly table: string
  readonly columns: string
  readonly indexes: readonly string[]
}

/** One compiled collection. */
export interface CollectionSchema {
  readonly name: string
  readonly nsid: string
  /** Under which name what is derived from its rows is kept: the NSID, or another while it is derived anew. */
  readonly space: string
  readonly edge: boolean
  /** Whether rows hold the bytes of their record. */
  readonly keepsRecord: boolean
  readonly columns: readonly ColumnSchema[]
  readonly rkey: string | undefined
  readonly validate: AnyCollection['validate']
  /** Path of the datetime `sortAt` is taken from. */
  readonly sortBy: ColumnSchema
  /** Indexes into `columns`; empty when every record counts. */
  readonly unique: readonly number[]
  /** Which columns (indexes) give backlinks. */
  readonly linkColumns: readonly number[]
  /** Whether the whole record is searched for links (documents only), optionally only at these paths. */
  readonly linkWalk: boolean
  readonly linkPaths: ReadonlySet<string> | undefined
  /** Record paths already covered by columns, not linked again by the walk. */
  readonly coveredPaths: ReadonlySet<string>
  readonly counters: readonly CounterSchema[]
  readonly notify: ((row: RowInput) => readonly NotificationInput[]) | undefined
  readonly derive:
    | {
        readonly tables: readonly OwnTable[]
        readonly added: (row: RowInput, sql: TransactionSql, table: NameOwnTable) => void
        readonly removed: (row: RowInput, sql: TransactionSql, table: NameOwnTable) => void
      }
    | undefined
  readonly gate:
    | {
        readonly dependsOn: ReadonlySet<string>
        readonly allow: (row: RowInput, lookup: GateLookup) => boolean
      }
    | undefined
  /** Whether a gate looks at this collection. */
  readonly feedsGates: boolean
  /** Indexes into `columns`. */
  readonly search: readonly number[]
  readonly indexes: readonly (readonly string[])[]
  /** How old rows may get, in milliseconds. */
  readonly maxAgeMs: number | undefined
  /** How many rows of one account are kept. */
  readonly perRepo: number | undefined
  /** Whether a pure function needs the row spelled out (DIDs and URIs as text). */
  readonly needsRow: boolean
  /** Text that changes when stored rows would have to change. */
  readonly fingerprint: string
}

/** Declarations compiled and checked; what a store needs to lay out tables. */
export interface Schema {
  readonly collections: readonly CollectionSchema[]
  readonly byNsid: ReadonlyMap<string, CollectionSchema>
  readonly byName: ReadonlyMap<string, CollectionSchema>
  /** All counter names, sorted. */
  readonly counters: readonly string[]
  readonly hasGates: boolean
  /** Whether a collection keeps a limited number of records an account. */
  readonly hasLimits: boolean
}

/** Compiles and checks declarations. @throws {InvalidDeclarationError} naming the collection and the mistake */
export function compileSchema(declarations: Readonly<Record<string, AnyCollection>>): Schema {
  const collections: CollectionSchema[] = []
  const byNsid = new Map<string, CollectionSchema>()
  const byName = new Map<string, CollectionSchema>()
  const tables = new Set<string>()
  const counters = new Set<string>()
  const lookedAt = new Set<string>()
  for (const [name, { gate }] of Object.entries(declarations))
    for (const other of gate?.dependsOn ?? []) {
      if (!Object.hasOwn(declarations, other))
        throw new InvalidDeclarationError(name, `gate depends on the unknown collection ${other}`)
      lookedAt.add(other)
    }
  for (const [name, declaration] of Object.entries(declarations)) {
    const compiled = compileCollection(name, declaration, lookedAt.has(name))
    if (tables.has(name.toLowerCase()))
      throw new InvalidDeclarationError(name, 'two names differ in case only')
    if (byNsid.has(compiled.nsid))
      throw new InvalidDeclarationError(name, `${compiled.nsid} is declared twice`)
    tables.add(name.toLowerCase())
    for (const { name: own } of compiled.derive?.tables ?? []) {
      if (tables.has(own.toLowerCase()) || Object.hasOwn(declarations, own))
        throw new InvalidDeclarationError(name, `table ${own} is declared twice`)
      tables.add(own.toLowerCase())
    }
    collections.push(compiled)
    byNsid.set(compiled.nsid, compiled)
    byName.set(name, compiled)
    for (const counter of compiled.counters) {
      if (counters.has(counter.name))
        throw new InvalidDeclarationError(name, `counter ${counter.name} is declared twice`)
      counters.add(counter.name)
    }
  }
  const hasGates = collections.some(({ gate }) => gate !== undefined)
  const hasLimits = collections.some(({ perRepo }) => perRepo !== undefined)
  return { collections, byNsid, byName, counters: [...counters].toSorted(), hasGates, hasLimits }
}

function compileCollection(
  name: string,
  declaration: AnyCollection,
  feedsGates: boolean,
): CollectionSchema {
  const fail = (reason: string): never => {
    throw new InvalidDeclarationError(name, reason)
  }
  if (!NAME.test(name) || RESERVED_TABLES.test(name))
    fail('name must match [a-z][A-Za-z0-9]{0,39} and not start with ix, pg or sqlite')
  if (!isNsid(declaration.nsid)) fail(`${declaration.nsid} is not an NSID`)
  const edge = declaration.layout === 'edge'
  const indexed = new Set([
    ...(declaration.unique ?? []),
    ...(declaration.indexes ?? []).flat().map((part) => part.replace(/^-/, '')),
  ])
  const columns = compileColumns(declaration.columns ?? {}, indexed, fail)
  const position = new Map(columns.map((column, index) => [column.name, index]))
  const find = (column: string, use: string): number =>
    position.get(column) ?? fail(`${use} names the unknown column ${column}`)

  const search = (declaration.search ?? []).map((column) => find(column, 'search'))
  if (edge && search.length > 0) fail('search needs layout document')
  for (const index of search)
    if (columns[index]?.kind !== 'text') fail('search columns must be text')
  const isTarget = (index: number): boolean => {
    const kind = columns[index]?.kind
    return kind === 'uri' || kind === 'did'
  }
  const unique = (declaration.unique ?? []).map((column) => find(column, 'unique'))
  const counters = Object.entries(declaration.counters ?? {}).map(
    ([counter, on]): CounterSchema => {
      if (!NAME.test(counter)) fail(`counter name ${counter} must match [a-z][A-Za-z0-9]{0,39}`)
      const target = typeof on === 'string' ? on : on.on
      const column = target === 'did' ? -1 : find(target, `counter ${counter}`)
      if (column !== -1 && !isTarget(column))
        fail(`counter ${counter} must count on a uri or did column`)
      // The declaration's own row type was checked where it was written; here rows are untyped.
      const where = typeof on === 'string' ? undefined : (on.where as (row: RowInput) => boolean)
      return { name: counter, column, where }
    },
  )
  const links = declaration.links ?? true
  if (edge && Array.isArray(links))
    for (const path of links)
      if (!position.has(path)) fail('layout edge links its uri and did columns only')
  const linkColumns = columns
    .map((_, index) => index)
    .filter((index) => isTarget(index) && links !== false)
    .filter((index) => links === true || includesPath(links, columns[index]?.name))
  for (const index of declaration.indexes ?? [])
    for (const part of index) {
      const column = part.replace(/^-/, '')
      if (!['did', 'rkey', 'sortAt', 'indexedAt'].includes(column)) find(column, 'index')
    }
  const sortBy = compileColumn(
    'sortBy',
    {
      kind: 'datetime',
      source:
        declaration.sortBy === undefined
          ? 'createdAt'
          : sortSource(declaration.sortBy, columns, fail),
      required: false,
      index: false,
    },
    false,
  )
  // Same remark as for counters: typed at the declaration.
  const notify = declaration.notify as ((row: RowInput) => readonly NotificationInput[]) | undefined
  const coveredPaths = new Set<string>()
  for (const column of columns)
    // A text that happens to be a link is one: only what the columns themselves link is left out of the walk.
    if (column.path !== undefined && isTarget(position.get(column.name) ?? -1)) {
      coveredPaths.add(column.path.join('.'))
      if (column.kind === 'uri') coveredPaths.add(`${column.path.join('.')}.uri`)
    }
  return {
    name,
    nsid: declaration.nsid,
    space: declaration.nsid,
    edge,
    keepsRecord: !edge || declaration.keepRecord === true,
    columns,
    rkey: declaration.rkey,
    validate: declaration.validate,
    sortBy,
    unique,
    linkColumns,
    linkWalk: !edge && links !== false,
    linkPaths: Array.isArray(links) ? new Set<string>(links) : undefined,
    coveredPaths,
    counters,
    notify,
    gate:
      declaration.gate === undefined
        ? undefined
        : {
            dependsOn: new Set(declaration.gate.dependsOn),
            // Typed at the declaration, like the other functions.
            allow: declaration.gate.allow as (row: RowInput, lookup: GateLookup) => boolean,
          },
    feedsGates,
    derive: compileDerive(declaration.derive, fail),
    search,
    indexes: declaration.indexes ?? [],
    ...compileRetain(declaration.retain, fail),
    needsRow:
      notify !== undefined ||
      declaration.derive !== undefined ||
      counters.some((counter) => counter.where !== undefined),
    fingerprint: fingerprintOf(declaration, edge, columns, feedsGates),
  }
}

function compileRetain(
  retain: AnyCollection['retain'],
  fail: (reason: string) => never,
): Pick<CollectionSchema, 'maxAgeMs' | 'perRepo'> {
  const { days, perRepo } = retain ?? {}
  if (days !== undefined && !(days > 0 && days <= MAX_RETAIN_DAYS))
    fail(`retain.days must be above 0 and at most ${MAX_RETAIN_DAYS}`)
  if (perRepo !== undefined && !(Number.isInteger(perRepo) && perRepo > 0))
    fail('retain.perRepo must be a positive integer')
  if (perRepo !== undefined && perRepo > MAX_PER_REPO)
    fail(`retain.perRepo must be at most ${MAX_PER_REPO}`)
  return { maxAgeMs: days === undefined ? undefined : days * DAY_MS, perRepo }
}

function compileDerive(
  derive: AnyCollection['derive'],
  fail: (reason: string) => never,
): CollectionSchema['derive'] {
  if (derive === undefined) return undefined
  const { tables, indexes = {} } = derive
  for (const name of Object.keys({ ...tables, ...indexes }))
    if (!OWN_TABLE.test(name) || RESERVED_TABLES.test(name) || !Object.hasOwn(tables, name))
      fail(`${name} is no name of an own table`)
  return {
    tables: Object.entries(tables).map(([name, columns]) => ({
      name,
      table: name,
      columns,
      indexes: indexes[name] ?? [],
    })),
    // Typed at the declaration, like the other functions.
    added: derive.added as NonNullable<CollectionSchema['derive']>['added'],
    removed: derive.removed as NonNullable<CollectionSchema['derive']>['removed'],
  }
}

function includesPath(links: boolean | readonly string[], name: string | undefined): boolean {
  return typeof links !== 'boolean' && name !== undefined && links.includes(name)
}

function sortSource(
  name: string,
  columns: readonly ColumnSchema[],
  fail: (reason: string) => never,
): string | ((record: RecordObject) => unknown) {
  const column = columns.find((candidate) => candidate.name === name)
  if (column?.kind !== 'datetime') return fail(`sortBy ${name} is not a datetime column`)
  return column.compute ?? (column.path ?? []).join('.')
}

function compileColumns(
  columns: Columns,
  indexed: ReadonlySet<string>,
  fail: (reason: string) => never,
): ColumnSchema[] {
  const entries = Object.entries(columns)
  if (entries.length > MAX_COLUMNS) fail(`more than ${MAX_COLUMNS} columns`)
  const seen = new Set<string>()
  return entries.map(([name, column]) => {
    if (!NAME.test(name)) fail(`column name ${name} must match [a-z][A-Za-z0-9]{0,39}`)
    const folded = name.toLowerCase()
    if (RESERVED_COLUMNS.has(folded)) fail(`column name ${name} is reserved`)
    if (seen.has(folded)) fail(`two columns named ${name} differ in case only`)
    seen.add(folded)
    return compileColumn(name, column, column.index || indexed.has(name))
  })
}

function compileColumn(name: string, column: Column, indexed: boolean): ColumnSchema {
  const { kind, source, required, index } = column
  return {
    name,
    kind,
    path: typeof source === 'string' ? source.split('.') : undefined,
    compute: typeof source === 'string' ? undefined : source,
    required,
    index,
    indexed,
  }
}

function printed(derive: AnyCollection['derive']): unknown {
  return derive === undefined ? undefined : { tables: derive.tables, indexes: derive.indexes }
}

function fingerprintOf(
  declaration: AnyCollection,
  edge: boolean,
  columns: readonly ColumnSchema[],
  feedsGates: boolean,
): string {
  return JSON.stringify({
    version: declaration.version ?? 1,
    nsid: declaration.nsid,
    edge,
    keepsRecord: !edge || declaration.keepRecord === true,
    columns: columns.map((column) => [
      column.name,
      column.kind,
      column.path?.join('.') ?? 'computed',
      column.required,
    ]),
    rkey: declaration.rkey,
    sortBy: declaration.sortBy,
    unique: declaration.unique ?? [],
    links: declaration.links ?? true,
    counters: Object.entries(declaration.counters ?? {}).map(([name, on]) =>
      typeof on === 'string' ? [name, on] : [name, on.on, 'where'],
    ),
    notify: declaration.notify !== undefined,
    search: declaration.search ?? [],
    gate: declaration.gate?.dependsOn,
    derive: printed(declaration.derive),
    feedsGates,
  })
}
