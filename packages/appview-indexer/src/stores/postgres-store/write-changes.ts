import type { TransactionSql } from '../../collection.ts'
import type { CollectionSchema } from '../../schema.ts'
import type { SqlValue } from '../../sql-value.ts'
import { ownTables, quote, searchTable, storedColumns } from '../table-names.ts'
import type { ChangeSet, GatedKey, LinkRow, NotificationRow } from '../transaction.ts'
import { bind } from './bind.ts'
import { searchVector } from '../../search-words.ts'
import type { Run } from './run.ts'

/**
 * Writes a change set: one statement a table and kind of change, with the rows as arrays. None waits here for the one
 * before: while the server works at it, the next is made. They are carried out in order all the same.
 */
export async function writeChanges(run: Run, changes: ChangeSet): Promise<void> {
  const sent: Promise<unknown>[] = []
  const send: Run = (sql, parameters) => {
    const answer = run(sql, parameters)
    sent.push(answer)
    return answer
  }
  try {
    sendChanges(send, changes)
  } finally {
    // A declared function that throws ends this; what was sent before is answered first.
    await Promise.all(sent)
  }
}

function sendChanges(run: Run, changes: ChangeSet): void {
  for (const [collection, items] of byCollection(changes.searchDeletes))
    void run(`DELETE FROM ${quote(searchTable(collection))} WHERE id = ANY($1::bigint[])`, [
      items.map(({ id }) => id),
    ])
  for (const [collection, items] of byCollection(changes.rowDeletes))
    sendOnRows(run, collection, items, (table) => `DELETE FROM ${table} d USING`, [])
  sendLinks(
    run,
    `DELETE FROM ix_link l USING ${LINKS} WHERE l.target = k.target AND l.path = k.path AND l.repo = k.repo AND l.rkey = k.rkey`,
    changes.linkDeletes,
  )
  sendNotifications(
    run,
    `DELETE FROM ix_notification d USING ${NOTIFICATIONS} WHERE d.recipient = k.recipient AND d."sortAt" = k.at
     AND d.repo = k.repo AND d.space = k.space AND d.rkey = k.rkey AND d.reason = k.reason`,
    changes.notificationDeletes,
  )
  for (const [collection, items] of byCollection(changes.rowPuts))
    sendRows(
      run,
      collection,
      items.map(({ row }) => row),
    )
  for (const [collection, items] of byCollection(changes.rowStates))
    sendOnRows(
      run,
      collection,
      items,
      (table) => `UPDATE ${table} d SET state = k.state FROM`,
      items.map(({ state }) => state),
    )
  sendLinks(
    run,
    `INSERT INTO ix_link SELECT DISTINCT * FROM ${LINKS} ORDER BY 1, 2, 3, 4 ON CONFLICT DO NOTHING`,
    changes.linkPuts,
  )
  sendCounters(run, changes)
  sendNotifications(
    run,
    `INSERT INTO ix_notification SELECT DISTINCT ON (1, 2, 3, 4, 5, 6) * FROM ${NOTIFICATIONS}
     ON CONFLICT (recipient, "sortAt", repo, space, rkey, reason) DO UPDATE SET subject = excluded.subject`,
    changes.notificationPuts,
  )
  for (const [collection, items] of byCollection(changes.searchPuts))
    void run(
      `INSERT INTO ${quote(searchTable(collection))} SELECT id, words::tsvector
       FROM unnest($1::bigint[], $2::text[]) k (id, words)
       ON CONFLICT (id) DO UPDATE SET words = excluded.words`,
      [items.map(({ id }) => id), items.map(({ texts }) => searchVector(texts))],
    )
  sendDeadLetters(run, changes)
  sendGates(run, changes)
  sendDerived(run, changes)
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
  run: Run,
  collection: CollectionSchema,
  items: readonly {
    readonly key: { readonly repo: number; readonly rkey: string }
    readonly id: number
  }[],
  verb: (table: string) => string,
  states: readonly number[],
): void {
  const start = verb(quote(collection.name))
  if (collection.edge)
    void run(
      `${start} unnest($1::bigint[], $2::text[], $3::int[]) k (repo, rkey, state) WHERE d.repo = k.repo AND d.rkey = k.rkey`,
      [items.map(({ key }) => key.repo), items.map(({ key }) => key.rkey), states],
    )
  else
    void run(`${start} unnest($1::bigint[], $2::int[]) k (id, state) WHERE d.id = k.id`, [
      items.map(({ id }) => id),
      states,
    ])
}

function sendRows(
  run: Run,
  collection: CollectionSchema,
  rows: readonly ChangeSet['rowPuts'][number]['row'][],
): void {
  const columns = storedColumns(collection)
  const types = [
    ...(collection.edge ? [] : ['bigint']),
    'bigint',
    'text',
    'bytea',
    'int',
    'bigint',
    'bigint',
    ...collection.columns.map(({ kind }) =>
      kind === 'text' || kind === 'json' ? 'text' : 'bigint',
    ),
    ...(collection.keepsRecord ? ['bytea'] : []),
  ]
  const values = rows.map((row) => [
    ...(collection.edge ? [] : [row.id]),
    row.repo,
    row.rkey,
    row.cid,
    row.state,
    row.indexedAt,
    row.sortAt,
    ...row.values,
    ...(collection.keepsRecord ? [row.bytes ?? null] : []),
  ])
  const key = collection.edge ? ['repo', 'rkey'] : ['id']
  const others = columns.filter((column) => !key.includes(column))
  void run(
    `INSERT INTO ${quote(collection.name)} (${columns.map(quote).join(', ')})
     SELECT * FROM unnest(${types.map((type, at) => `$${at + 1}::${type}[]`).join(', ')})
     ON CONFLICT (${key.join(', ')}) DO UPDATE SET ${others
       .map((column) => `${quote(column)} = excluded.${quote(column)}`)
       .join(', ')}`,
    columns.map((_, at) => values.map((row) => row[at] ?? null)),
  )
}

function sendLinks(run: Run, sql: string, links: readonly LinkRow[]): void {
  if (links.length === 0) return
  void run(sql, [
    links.map(({ target }) => target),
    links.map(({ path }) => path),
    links.map(({ repo }) => repo),
    links.map(({ rkey }) => rkey),
  ])
}

function sendNotifications(run: Run, sql: string, rows: readonly NotificationRow[]): void {
  if (rows.length === 0) return
  void run(sql, [
    rows.map(({ recipient }) => recipient),
    rows.map(({ sortAt }) => sortAt),
    rows.map(({ repo }) => repo),
    rows.map(({ space }) => space),
    rows.map(({ rkey }) => rkey),
    rows.map(({ reason }) => reason),
    rows.map(({ subject }) => subject),
  ])
}

/** Every process adds in the same order, so two that count on the same subjects wait instead of locking each other out. */
function sendCounters(run: Run, changes: ChangeSet): void {
  const rows = [...changes.counters].flatMap(([target, counters]) =>
    [...counters].flatMap(([counter, difference]) =>
      difference === 0 ? [] : [{ target, counter, difference }],
    ),
  )
  if (rows.length === 0) return
  void run(
    `INSERT INTO ix_counter SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) k (target, counter, n)
     ORDER BY 1, 2 ON CONFLICT (target, counter) DO UPDATE SET n = ix_counter.n + excluded.n`,
    [
      rows.map(({ target }) => target),
      rows.map(({ counter }) => counter),
      rows.map(({ difference }) => difference),
    ],
  )
}

function sendDeadLetters(run: Run, { deadDeletes, deadPuts }: ChangeSet): void {
  if (deadDeletes.length > 0)
    void run(
      `DELETE FROM ix_dead d USING ${GATED} WHERE d.space = k.space AND d.repo = k.repo AND d.rkey = k.rkey`,
      gatedColumns(deadDeletes),
    )
  for (const { repo, space, rkey, cid, reason, at, bytes } of deadPuts)
    void run(
      `INSERT INTO ix_dead (repo, space, rkey, cid, reason, at, bytes) VALUES ($1, $2, $3, $4, $5, $6, $7)
       ON CONFLICT (repo, space, rkey) DO UPDATE SET cid = excluded.cid, reason = excluded.reason, at = excluded.at, bytes = excluded.bytes`,
      [repo, space, rkey, cid, reason, at, bytes],
    )
}

function sendGates(run: Run, changes: ChangeSet): void {
  const { gateForget, gateDue, gateTriggers } = changes
  if (gateForget.length > 0)
    for (const table of ['ix_gate', 'ix_gate_due'])
      void run(
        `DELETE FROM ${table} d USING ${GATED} WHERE d.space = k.space AND d.repo = k.repo AND d.rkey = k.rkey`,
        gatedColumns(gateForget),
      )
  if (gateDue.length > 0)
    void run(
      `INSERT INTO ix_gate_due SELECT * FROM ${GATED} ON CONFLICT DO NOTHING`,
      gatedColumns(gateDue),
    )
  if (gateTriggers.size > 0)
    void run(
      `INSERT INTO ix_gate_due SELECT space, repo, rkey FROM ix_gate WHERE dependency = ANY($1::text[])
       ON CONFLICT DO NOTHING`,
      [[...gateTriggers]],
    )
}

function gatedColumns(keys: readonly GatedKey[]): [number[], number[], string[]] {
  return [
    keys.map(({ space }) => space),
    keys.map(({ repo }) => repo),
    keys.map(({ rkey }) => rkey),
  ]
}

/** A declaration's own statements, in order. */
function sendDerived(run: Run, changes: ChangeSet): void {
  const statements: { text: string; values: readonly SqlValue[] }[] = []
  const sql: TransactionSql = (text, parameters = []) => {
    statements.push(bind(text, parameters))
  }
  for (const { collection, sign, row } of changes.derived)
    collection.derive?.[sign === 1 ? 'added' : 'removed'](row, sql, ownTables(collection))
  for (const { text, values } of statements) void run(text, values)
}
