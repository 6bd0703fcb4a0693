import type { TransactionSql } from '../../collection.ts'
import type { CollectionSchema } from '../../schema.ts'
import type { SqlValue } from '../../sql-value.ts'
import { ownTables, quote, searchTable, storedColumns } from '../table-names.ts'
import type { ChangeSet, GatedKey, LinkRow, NotificationRow, StoredRow } from '../transaction.ts'
import { arrayBytes, columnsBytes, valueType } from './array-bytes.ts'
import type { ElementType } from './array-bytes.ts'
import { bind } from './bind.ts'
import type { Send } from './run.ts'
import { searchVector } from '../../search-words.ts'

/**
 * Sends a change set: one statement a table and kind of change, with the rows as arrays. They are carried out in order;
 * while the server works at one, the next is made.
 */
export function writeChanges(send: Send, changes: ChangeSet): void {
  for (const [collection, items] of byCollection(changes.searchDeletes))
    send(`DELETE FROM ${quote(searchTable(collection))} WHERE id = ANY($1::bigint[])`, [
      arrayBytes(
        'bigint',
        items.map(({ id }) => id),
      ),
    ])
  for (const [collection, items] of byCollection(changes.rowDeletes))
    sendOnRows(send, collection, items, (table) => `DELETE FROM ${table} d USING`)
  sendLinks(
    send,
    `DELETE FROM ix_link l USING ${LINKS} WHERE l.target = k.target AND l.path = k.path AND l.repo = k.repo AND l.rkey = k.rkey`,
    changes.linkDeletes,
  )
  sendNotifications(
    send,
    `DELETE FROM ix_notification d USING ${NOTIFICATIONS} WHERE d.recipient = k.recipient AND d."sortAt" = k.at
     AND d.repo = k.repo AND d.space = k.space AND d.rkey = k.rkey AND d.reason = k.reason`,
    changes.notificationDeletes,
  )
  for (const [collection, items] of byCollection(changes.rowPuts))
    sendRows(
      send,
      collection,
      items.map(({ row }) => row),
    )
  for (const [collection, items] of byCollection(changes.rowStates))
    sendOnRows(send, collection, items, (table) => `UPDATE ${table} d SET state = k.state FROM`)
  // In key order neighbours share pages.
  sendLinks(
    send,
    `INSERT INTO ix_link SELECT * FROM ${LINKS} ON CONFLICT DO NOTHING`,
    changes.linkPuts.toSorted((left, right) => left.target - right.target),
  )
  sendNotifications(
    send,
    `INSERT INTO ix_notification SELECT DISTINCT ON (1, 2, 3, 4, 5, 6) * FROM ${NOTIFICATIONS}
     ON CONFLICT (recipient, "sortAt", repo, space, rkey, reason) DO UPDATE SET subject = excluded.subject`,
    changes.notificationPuts,
  )
  for (const [collection, items] of byCollection(changes.searchPuts))
    send(
      `INSERT INTO ${quote(searchTable(collection))} SELECT id, words::tsvector
       FROM unnest($1::bigint[], $2::text[]) k (id, words)
       ON CONFLICT (id) DO UPDATE SET words = excluded.words`,
      columnsBytes(items, [
        ['bigint', ({ id }) => id],
        ['text', ({ texts }) => searchVector(texts)],
      ]),
    )
  sendDeadLetters(send, changes)
  sendGates(send, changes)
  sendDerived(send, changes)
  // Last: other processes that count on the same subjects wait from here to the commit.
  sendCounters(send, changes)
}

const LINKS =
  'unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[]) k (target, path, repo, rkey)'
const NOTIFICATIONS =
  'unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::text[], $6::bigint[], $7::bigint[]) k (recipient, at, repo, space, rkey, reason, subject)'
const GATED = 'unnest($1::bigint[], $2::bigint[], $3::text[]) k (space, repo, rkey)'

function byCollection<T extends { readonly collection: CollectionSchema }>(
  items: readonly T[],
): Map<CollectionSchema, T[]> {
  const groups = new Map<CollectionSchema, T[]>()
  for (const item of items) {
    const group = groups.get(item.collection)
    if (group === undefined) groups.set(item.collection, [item])
    else group.push(item)
  }
  return groups
}

function sendOnRows(
  send: Send,
  collection: CollectionSchema,
  items: readonly {
    readonly key: { readonly repo: number; readonly rkey: string }
    readonly id: number
    readonly state?: number
  }[],
  verb: (table: string) => string,
): void {
  const start = verb(quote(collection.name))
  if (collection.edge)
    send(
      `${start} unnest($1::bigint[], $2::text[], $3::int[]) k (repo, rkey, state) WHERE d.repo = k.repo AND d.rkey = k.rkey`,
      columnsBytes(items, [
        ['bigint', ({ key }) => key.repo],
        ['text', ({ key }) => key.rkey],
        ['int', ({ state }) => state],
      ]),
    )
  else
    send(
      `${start} unnest($1::bigint[], $2::int[]) k (id, state) WHERE d.id = k.id`,
      columnsBytes(items, [
        ['bigint', ({ id }) => id],
        ['int', ({ state }) => state],
      ]),
    )
}

function sendRows(send: Send, collection: CollectionSchema, rows: readonly StoredRow[]): void {
  const key = collection.edge ? ['repo', 'rkey'] : ['id']
  const columns = storedColumns(collection)
  const others = columns.filter((column) => !key.includes(column))
  const values: (readonly [ElementType, (row: StoredRow) => unknown])[] = [
    ['bigint', ({ repo }) => repo],
    ['text', ({ rkey }) => rkey],
    ['bytea', ({ cid }) => cid],
    ['int', ({ state }) => state],
    ['bigint', ({ indexedAt }) => indexedAt],
    ['bigint', ({ sortAt }) => sortAt],
    ...collection.columns.map(
      (column, at) => [valueType(column), (row: StoredRow): unknown => row.values[at]] as const,
    ),
  ]
  if (!collection.edge) values.unshift(['bigint', ({ id }) => id])
  if (collection.keepsRecord) values.push(['bytea', ({ bytes }) => bytes])
  const arrays = values.map(([type], at) => `$${at + 1}::${type}[]`)
  send(
    `INSERT INTO ${quote(collection.name)} (${columns.map(quote).join(', ')})
     SELECT * FROM unnest(${arrays.join(', ')})
     ON CONFLICT (${key.join(', ')}) DO UPDATE SET ${others
       .map((column) => `${quote(column)} = excluded.${quote(column)}`)
       .join(', ')}`,
    columnsBytes(rows, values),
  )
}

function sendLinks(send: Send, sql: string, links: readonly LinkRow[]): void {
  if (links.length === 0) return
  send(
    sql,
    columnsBytes(links, [
      ['bigint', ({ target }) => target],
      ['bigint', ({ path }) => path],
      ['bigint', ({ repo }) => repo],
      ['text', ({ rkey }) => rkey],
    ]),
  )
}

function sendNotifications(send: Send, sql: string, rows: readonly NotificationRow[]): void {
  if (rows.length === 0) return
  send(
    sql,
    columnsBytes(rows, [
      ['bigint', ({ recipient }) => recipient],
      ['bigint', ({ sortAt }) => sortAt],
      ['bigint', ({ repo }) => repo],
      ['bigint', ({ space }) => space],
      ['text', ({ rkey }) => rkey],
      ['bigint', ({ reason }) => reason],
      ['bigint', ({ subject }) => subject],
    ]),
  )
}

/** Every process adds in the same order, so two that count on the same subjects wait instead of locking each other out. */
function sendCounters(send: Send, changes: ChangeSet): void {
  const rows: { target: number; counter: number; difference: number }[] = []
  for (const [target, counters] of changes.counters)
    for (const [counter, difference] of counters)
      if (difference !== 0) rows.push({ target, counter, difference })
  if (rows.length === 0) return
  rows.sort((left, right) => left.target - right.target || left.counter - right.counter)
  send(
    `INSERT INTO ix_counter SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) k (target, counter, n)
     ON CONFLICT (target, counter) DO UPDATE SET n = ix_counter.n + excluded.n`,
    columnsBytes(rows, [
      ['bigint', ({ target }) => target],
      ['bigint', ({ counter }) => counter],
      ['bigint', ({ difference }) => difference],
    ]),
  )
}

function sendDeadLetters(send: Send, { deadDeletes, deadPuts }: ChangeSet): void {
  if (deadDeletes.length > 0)
    send(
      `DELETE FROM ix_dead d USING ${GATED} WHERE d.space = k.space AND d.repo = k.repo AND d.rkey = k.rkey`,
      gatedColumns(deadDeletes),
    )
  for (const { repo, space, rkey, cid, reason, at, bytes } of deadPuts)
    send(
      `INSERT INTO ix_dead (repo, space, rkey, cid, reason, at, bytes) VALUES ($1, $2, $3, $4, $5, $6, $7)
       ON CONFLICT (repo, space, rkey) DO UPDATE SET cid = excluded.cid, reason = excluded.reason, at = excluded.at, bytes = excluded.bytes`,
      [repo, space, rkey, cid, reason, at, bytes],
    )
}

function sendGates(send: Send, changes: ChangeSet): void {
  const { gateForget, gateDue, gateTriggers } = changes
  if (gateForget.length > 0)
    for (const table of ['ix_gate', 'ix_gate_due'])
      send(
        `DELETE FROM ${table} d USING ${GATED} WHERE d.space = k.space AND d.repo = k.repo AND d.rkey = k.rkey`,
        gatedColumns(gateForget),
      )
  if (gateDue.length > 0)
    send(
      `INSERT INTO ix_gate_due SELECT * FROM ${GATED} ON CONFLICT DO NOTHING`,
      gatedColumns(gateDue),
    )
  if (gateTriggers.size > 0)
    send(
      `INSERT INTO ix_gate_due SELECT space, repo, rkey FROM ix_gate WHERE dependency = ANY($1::text[])
       ON CONFLICT DO NOTHING`,
      [arrayBytes('text', [...gateTriggers])],
    )
}

function gatedColumns(keys: readonly GatedKey[]): Buffer[] {
  return columnsBytes(keys, [
    ['bigint', ({ space }) => space],
    ['bigint', ({ repo }) => repo],
    ['text', ({ rkey }) => rkey],
  ])
}

/** A declaration's own statements, in order. */
function sendDerived(send: Send, changes: ChangeSet): void {
  const statements: { text: string; values: readonly SqlValue[] }[] = []
  const sql: TransactionSql = (text, parameters = []) => {
    statements.push(bind(text, parameters))
  }
  for (const { collection, sign, row } of changes.derived)
    collection.derive?.[sign === 1 ? 'added' : 'removed'](row, sql, ownTables(collection))
  for (const { text, values } of statements) send(text, values)
}
