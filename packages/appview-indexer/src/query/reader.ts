import { ASIDE } from '../shadow.ts'
import type { LabelerPreference } from '@skywright/xrpc'

import type { Row } from '../collection.ts'
import { InvalidQueryError } from '../errors.ts'
import type { CollectionSchema, Schema } from '../schema.ts'
import type { IndexStore } from '../stores/port.ts'
import { formatRecordUri, isDid } from '../target.ts'
import { checkLimit, CompiledSelect, DEFAULT_PAGE_ROWS } from './compiled-select.ts'
import type { SelectContext } from './compiled-select.ts'
import { Identities, marks } from './identities.ts'
import type { Actor, Backlink, Notification } from './index-reader.ts'
import type { SqlValue } from '../sql-value.ts'
import { decodeCursor, encodeCursor } from './keyset-cursor.ts'
import { acceptLabelers, readLabels } from './labels.ts'
import type { AcceptedLabelers, LabelSubject, SubjectLabels } from './labels.ts'
import type { Page, PageOptions } from './page.ts'
import { readRelations } from './relations.ts'
import type { RelationKind } from './relations.ts'
import { readTimeline } from './timeline.ts'
import type { TimelineRequest } from './timeline.ts'
import { BOUND_LIMIT } from '../stores/bound-limit.ts'

/** Most subjects of one bulk read. */
export const MAX_BULK = 1_000

interface BacklinkRequest extends PageOptions {
  readonly target: string
  readonly from: string
  readonly path: string
  readonly dids?: readonly string[]
}

/** Everything that reads, with the declared types erased; `openIndexer` puts them back on. */
export class Reader {
  readonly #store: IndexStore
  readonly #schema: Schema
  readonly #identities: Identities
  readonly #context: SelectContext

  constructor(
    store: IndexStore,
    schema: Schema,
    changed: SelectContext['changed'],
    now: () => number,
  ) {
    this.#store = store
    this.#schema = schema
    this.#identities = new Identities(store)
    this.#context = { store, identities: this.#identities, changed, now }
  }

  select(from: string): CompiledSelect {
    return new CompiledSelect(this.#context, this.#collection(from))
  }

  async get(from: string, uri: string): Promise<Row | undefined> {
    return (await this.getMany(from, [uri])).get(uri)
  }

  async getMany(from: string, uris: readonly string[]): Promise<Map<string, Row>> {
    checkBulk(uris)
    if (uris.length === 0) return new Map()
    const { rows } = await this.select(from).where({ uri: uris }).page({ limit: MAX_BULK })
    return new Map(rows.map((row) => [row.uri, row]))
  }

  async counts(subjects: readonly string[]): Promise<Map<string, Record<string, number>>> {
    checkBulk(subjects)
    const zero = Object.fromEntries(this.#schema.counters.map((name) => [name, 0]))
    const counts = new Map(subjects.map((subject) => [subject, { ...zero }]))
    const targets = await this.#identities.targets(subjects)
    if (targets.size === 0) return counts
    const subjectOf = new Map([...targets].map(([subject, target]) => [target, subject]))
    const rows = await this.#store.query(
      `SELECT c.target, n.name, c.n FROM ix_counter c JOIN ix_counter_name n ON n.id = c.counter WHERE c.target IN (${marks(targets.size)})`,
      [...targets.values()],
    )
    for (const row of rows) {
      const count = counts.get(subjectOf.get(Number(row['target'])) ?? '')
      const name = String(row['name'])
      if (count !== undefined && name in zero) count[name] = Number(row['n'])
    }
    return counts
  }

  async backlinks(query: BacklinkRequest): Promise<Page<Backlink>> {
    const { limit = DEFAULT_PAGE_ROWS, cursor } = query
    checkLimit(limit)
    const links = await this.#links(query)
    if (links === undefined) return { rows: [] }
    const order = `backlinks.${query.from}.${query.path}`
    const position =
      cursor === undefined ? undefined : decodeCursor(cursor, order, ['number', 'string'])
    const rows = await this.#store.query(
      `SELECT repo, rkey FROM ix_link WHERE ${links.where}${
        position === undefined ? '' : ' AND repo >= ? AND (repo, rkey) > (?, ?)'
      } ORDER BY repo, rkey ${BOUND_LIMIT}`,
      [
        ...links.parameters,
        ...(position === undefined ? [] : [position[0] ?? 0, ...position]),
        limit + 1,
      ],
    )
    const kept = rows.slice(0, limit)
    const dids = await this.#identities.dids(kept.map((row) => Number(row['repo'])))
    const { nsid } = this.#collection(query.from)
    const page = kept.map((row) => {
      const did = dids.get(Number(row['repo'])) ?? ''
      const rkey = String(row['rkey'])
      return { uri: formatRecordUri(did, nsid, rkey), did, rkey }
    })
    const last = kept.at(-1)
    if (rows.length <= limit || last === undefined) return { rows: page }
    return {
      rows: page,
      cursor: encodeCursor(order, [Number(last['repo']), String(last['rkey'])]),
    }
  }

  async countBacklinks(query: BacklinkRequest): Promise<number> {
    const collection = this.#collection(query.from)
    const counter = collection.counters.find(
      ({ column, where }) =>
        where === undefined && column !== -1 && collection.columns[column]?.name === query.path,
    )
    const counted = this.#schema.collections.flatMap(({ counters }) => counters)
    const alone = counted.filter(({ name }) => name === counter?.name).length === 1
    if (counter !== undefined && alone && query.dids === undefined)
      return (await this.counts([query.target])).get(query.target)?.[counter.name] ?? 0
    const links = await this.#links(query)
    if (links === undefined) return 0
    const rows = await this.#store.query(
      `SELECT count(*) AS n FROM ix_link WHERE ${links.where}`,
      links.parameters,
    )
    return Number(rows[0]?.['n'] ?? 0)
  }

  async relations(
    did: string,
    subjects: readonly string[],
    kinds: Readonly<Record<string, RelationKind>>,
  ): Promise<Map<string, Record<string, string>>> {
    checkBulk(subjects)
    const compiled = Object.entries(kinds).map(([name, { from, path, reverse = false }]) => {
      return { name, collection: this.#collection(from), path, reverse }
    })
    return readRelations(this.#store, this.#identities, did, subjects, compiled)
  }

  timeline(query: TimelineRequest): Promise<Page<{ readonly from: string; readonly row: Row }>> {
    return readTimeline(this.#store, this.#identities, this.#schema, query)
  }

  async notifications(
    recipient: string,
    options: PageOptions & { readonly reasons?: readonly string[] } = {},
  ): Promise<Page<Notification>> {
    const { limit = DEFAULT_PAGE_ROWS, cursor, reasons } = options
    checkLimit(limit)
    const position =
      cursor === undefined
        ? undefined
        : decodeCursor(cursor, 'notifications', ['number', 'number', 'number', 'string', 'number'])
    const repo = (await this.#identities.repos([recipient])).get(recipient)
    if (repo === undefined || reasons?.length === 0) return { rows: [] }
    const rows = await this.#store.query(
      `SELECT n."sortAt", n.repo, n.space, n.rkey, n.reason, n.subject, r.name AS "reasonName", s.name AS "nsidName"
       FROM ix_notification n JOIN ix_reason r ON r.id = n.reason JOIN ix_space s ON s.id = n.space
       WHERE n.recipient = ? AND s.name NOT LIKE '%${ASIDE}%'${
         position === undefined
           ? ''
           : ' AND n."sortAt" <= ? AND (n."sortAt", n.repo, n.space, n.rkey, n.reason) < (?, ?, ?, ?, ?)'
       }${reasons === undefined ? '' : ` AND r.name IN (${marks(reasons.length)})`}
       ORDER BY n."sortAt" DESC, n.repo DESC, n.space DESC, n.rkey DESC, n.reason DESC ${BOUND_LIMIT}`,
      [
        repo,
        ...(position === undefined ? [] : [position[0] ?? 0, ...position]),
        ...(reasons ?? []),
        limit + 1,
      ],
    )
    const kept = rows.slice(0, limit)
    const dids = await this.#identities.dids(kept.map((row) => Number(row['repo'])))
    const texts = await this.#identities.texts(kept.map((row) => Number(row['subject'])))
    const page = kept.map((row): Notification => {
      const author = dids.get(Number(row['repo'])) ?? ''
      return {
        recipient,
        uri: formatRecordUri(author, String(row['nsidName']), String(row['rkey'])),
        author,
        reason: String(row['reasonName']),
        subject: texts.get(Number(row['subject'])),
        sortAt: Number(row['sortAt']),
      }
    })
    const last = kept.at(-1)
    if (rows.length <= limit || last === undefined) return { rows: page }
    const { sortAt, space, rkey, reason } = last
    return {
      rows: page,
      cursor: encodeCursor('notifications', [
        Number(sortAt),
        Number(last['repo']),
        Number(space),
        String(rkey),
        Number(reason),
      ]),
    }
  }

  async countNotifications(
    recipient: string,
    options: { readonly after?: number; readonly limit?: number } = {},
  ): Promise<number> {
    const { after = Number.MIN_SAFE_INTEGER, limit = MAX_BULK } = options
    checkLimit(limit)
    const repo = (await this.#identities.repos([recipient])).get(recipient)
    if (repo === undefined) return 0
    const rows = await this.#store.query(
      `SELECT count(*) AS n FROM (SELECT 1 AS one FROM ix_notification WHERE recipient = ? AND "sortAt" > ?
         AND space IN (SELECT id FROM ix_space WHERE name NOT LIKE '%${ASIDE}%') ${BOUND_LIMIT}) AS newest`,
      [repo, after, limit],
    )
    return Number(rows[0]?.['n'] ?? 0)
  }

  async actor(didOrHandle: string): Promise<Actor | undefined> {
    if (isDid(didOrHandle)) return (await this.actors([didOrHandle])).get(didOrHandle)
    const rows = await this.#store.query(`${ACTOR_SQL} AND handle = ?`, [didOrHandle.toLowerCase()])
    return rows[0] === undefined ? undefined : readActor(rows[0])
  }

  async actors(dids: readonly string[]): Promise<Map<string, Actor>> {
    checkBulk(dids)
    if (dids.length === 0) return new Map()
    const rows = await this.#store.query(`${ACTOR_SQL} AND did IN (${marks(dids.length)})`, dids)
    return new Map(rows.map(readActor).map((actor) => [actor.did, actor]))
  }

  acceptLabelers(
    header: string | null | undefined,
    defaults: readonly LabelerPreference[] = [],
  ): Promise<AcceptedLabelers> {
    return acceptLabelers(this.#store, header, defaults)
  }

  async labels(
    subjects: readonly LabelSubject[],
    accepted: AcceptedLabelers,
  ): Promise<Map<string, SubjectLabels>> {
    checkBulk(subjects)
    return readLabels(this.#store, this.#identities, subjects, accepted, this.#context.now())
  }

  async sql<T>(statement: string, parameters: readonly SqlValue[] = []): Promise<readonly T[]> {
    // The caller states the row type of the own statement; nothing here can check it.
    return (await this.#store.query(statement, parameters)) as readonly T[]
  }

  async #links(
    query: BacklinkRequest,
  ): Promise<{ where: string; parameters: SqlValue[] } | undefined> {
    const { nsid } = this.#collection(query.from)
    const target = (await this.#identities.targets([query.target])).get(query.target)
    if (target === undefined) return undefined
    const rows = await this.#store.query(
      'SELECT p.id FROM ix_path p JOIN ix_space n ON n.id = p.space WHERE n.name = ? AND p.path = ?',
      [nsid, query.path],
    )
    if (rows[0] === undefined) return undefined
    const parameters: SqlValue[] = [target, Number(rows[0]['id']) * 2]
    if (query.dids === undefined) return { where: 'target = ? AND path = ?', parameters }
    checkBulk(query.dids)
    const repos = [...(await this.#identities.repos(query.dids)).values()]
    if (repos.length === 0) return undefined
    return {
      where: `target = ? AND path = ? AND repo IN (${marks(repos.length)})`,
      parameters: [...parameters, ...repos],
    }
  }

  #collection(name: string): CollectionSchema {
    const collection = this.#schema.byName.get(name)
    if (collection === undefined) throw new InvalidQueryError(`no collection ${name}`)
    return collection
  }
}

/** Accounts that are only mentioned by others are ids, not accounts: nothing is known of them. */
const ACTOR_SQL =
  'SELECT did, handle, active, status, rev FROM ix_actor WHERE (rev IS NOT NULL OR active = 0 OR handle IS NOT NULL)'

function readActor(row: Readonly<Record<string, SqlValue>>): Actor {
  const optional = (value: SqlValue | undefined): string | undefined =>
    typeof value === 'string' ? value : undefined
  return {
    did: String(row['did']),
    handle: optional(row['handle']),
    active: Number(row['active']) === 1,
    status: optional(row['status']),
    rev: optional(row['rev']),
  }
}

function checkBulk(items: readonly unknown[]): void {
  if (items.length > MAX_BULK) throw new InvalidQueryError(`more than ${MAX_BULK} subjects`)
}
