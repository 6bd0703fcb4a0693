import { cidForRaw } from '@skywright/repo'

import type { Schema } from './schema.ts'
import type { IndexStore } from './stores/port.ts'
import type { SqlValue } from './sql-value.ts'

const PAGE = 5_000
/** Keys that are texts. */
const TEXT_KEYS: ReadonlySet<string> = new Set(['rkey', 'val', 'cid'])

/**
 * Digest of everything indexed that is a function of the records: accounts that have any, with their rev and status, rows with columns
 * and standing, links, counters, notifications, labels and dead letters; spelled out, never by local id. Times of arrival are left out.
 *
 * Each item is hashed and the hashes are added up, so the order of reading does not matter and memory stays flat.
 */
export async function hashState(store: IndexStore, schema: Schema): Promise<string> {
  const sum = new Uint32Array(8)
  const add = (kind: string, parts: readonly unknown[]): void => addDigest(sum, kind, parts)
  const names = new TargetNames(store)
  // What is known of an account without records depends on whether anything was ever asked about it.
  const indexed = schema.collections
    .map((collection) =>
      collection.edge
        ? `EXISTS (SELECT 1 FROM "${collection.name}" r WHERE r.repo = a.id)`
        : `EXISTS (SELECT 1 FROM ix_uri u JOIN "${collection.name}" r ON r.id = u.id WHERE u.repo = a.id AND u.nsid = (SELECT id FROM ix_nsid WHERE name = '${collection.nsid}'))`,
    )
    .concat('EXISTS (SELECT 1 FROM ix_dead d WHERE d.repo = a.id)')
    .join(' OR ')
  await eachRow(
    store,
    `SELECT a.id, a.did, CASE WHEN ${indexed} THEN a.rev END AS rev, a.active, a.status FROM ix_actor a
     WHERE (a.rev IS NOT NULL OR a.active = 0) AND a.id > ? ORDER BY a.id LIMIT ?`,
    (rows) => {
      for (const row of rows)
        if (row['rev'] !== null || Number(row['active']) === 0)
          add('actor', [row['did'], row['rev'], row['active'], row['status']])
    },
  )
  for (const collection of schema.collections) {
    const columns = ['cid', 'state', ...collection.columns.map(({ name }) => name)]
    await eachKeyed(store, collection.name, collection.edge, async (rows) => {
      const targets = new Set<number>()
      for (const row of rows)
        for (const column of collection.columns)
          if ((column.kind === 'uri' || column.kind === 'did') && row[column.name] !== null)
            targets.add(Number(row[column.name]))
      for (const row of rows) targets.add(Number(row['repo']) * 2 + 1)
      const texts = await names.texts(targets)
      for (const row of rows)
        add(collection.nsid, [
          texts.get(Number(row['repo']) * 2 + 1),
          row['rkey'],
          ...columns.map((name) => {
            const value = row[name]
            const kind = collection.columns.find((column) => column.name === name)?.kind
            return (kind === 'uri' || kind === 'did') && value !== null && value !== undefined
              ? texts.get(Number(value))
              : value
          }),
        ])
    })
  }
  await hashDerived(store, names, add)
  return [...sum].map((word) => word.toString(16).padStart(8, '0')).join('')
}

type Add = (kind: string, parts: readonly unknown[]) => void
type SqlRow = Readonly<Record<string, SqlValue>>

async function hashDerived(store: IndexStore, names: TargetNames, add: Add): Promise<void> {
  const label = async (sql: string): Promise<Map<number, string>> =>
    new Map((await store.query(sql, [])).map((row) => [Number(row['id']), String(row['name'])]))
  const spaces = await label('SELECT id, name FROM ix_space')
  const reasons = await label('SELECT id, name FROM ix_reason')
  const counters = await label('SELECT id, name FROM ix_counter_name')
  const paths = new Map(
    (await store.query('SELECT id, space, path FROM ix_path', [])).map((row) => [
      Number(row['id']),
      `${spaces.get(Number(row['space'])) ?? ''} ${String(row['path'])}`,
    ]),
  )
  const spell = async (
    kind: string,
    sql: string,
    keys: readonly string[],
    targetsOf: (row: SqlRow) => number[],
    partsOf: (row: SqlRow, texts: ReadonlyMap<number, string>) => unknown[],
  ): Promise<void> => {
    const list = keys.map((key) => `"${key}"`).join(', ')
    let after: SqlValue[] = keys.map((key) => (TEXT_KEYS.has(key) ? '' : Number.MIN_SAFE_INTEGER))
    for (;;) {
      const rows = await store.query(
        `${sql} WHERE (${list}) > (${keys.map(() => '?').join(', ')}) ORDER BY ${list} LIMIT ?`,
        [...after, PAGE],
      )
      const texts = await names.texts(new Set(rows.flatMap(targetsOf)))
      for (const row of rows) add(kind, partsOf(row, texts))
      const last = rows.at(-1)
      if (rows.length < PAGE || last === undefined) return
      after = keys.map((key) => last[key] ?? null)
    }
  }
  await spell(
    'link',
    'SELECT target, path, repo, rkey FROM ix_link',
    ['target', 'path', 'repo', 'rkey'],
    (row) => [Number(row['target']), Number(row['repo']) * 2 + 1],
    (row, texts) => [
      texts.get(Number(row['target'])),
      paths.get(Math.floor(Number(row['path']) / 2)),
      Number(row['path']) % 2,
      texts.get(Number(row['repo']) * 2 + 1),
      row['rkey'],
    ],
  )
  await spell(
    'counter',
    'SELECT target, counter, n FROM ix_counter',
    ['target', 'counter'],
    (row) => [Number(row['target'])],
    (row, texts) =>
      Number(row['n']) === 0
        ? []
        : [
            texts.get(Number(row['target'])),
            counters.get(Number(row['counter'])),
            Number(row['n']),
          ],
  )
  await spell(
    'notification',
    'SELECT recipient, "sortAt", repo, space, rkey, reason, subject FROM ix_notification',
    ['recipient', 'sortAt', 'repo', 'space', 'rkey', 'reason'],
    (row) => [
      Number(row['recipient']) * 2 + 1,
      Number(row['repo']) * 2 + 1,
      Number(row['subject']),
    ],
    (row, texts) => [
      texts.get(Number(row['recipient']) * 2 + 1),
      texts.get(Number(row['repo']) * 2 + 1),
      spaces.get(Number(row['space'])),
      row['rkey'],
      reasons.get(Number(row['reason'])),
      texts.get(Number(row['subject'])),
    ],
  )
  await spell(
    'label',
    'SELECT target, src, val, cid, neg, cts, exp FROM ix_label',
    ['target', 'src', 'val', 'cid'],
    (row) => [Number(row['target']), Number(row['src']) * 2 + 1],
    (row, texts) => [
      texts.get(Number(row['target'])),
      texts.get(Number(row['src']) * 2 + 1),
      ...['val', 'cid', 'neg', 'cts', 'exp'].map((name) => row[name]),
    ],
  )
  await spell(
    'dead',
    'SELECT repo, space, rkey, cid, reason FROM ix_dead',
    ['repo', 'space', 'rkey'],
    (row) => [Number(row['repo']) * 2 + 1],
    (row, texts) => [
      texts.get(Number(row['repo']) * 2 + 1),
      spaces.get(Number(row['space'])),
      row['rkey'],
      row['cid'],
      row['reason'],
    ],
  )
}

/** Adds one item's digest; an item without parts is nothing. */
function addDigest(sum: Uint32Array, kind: string, parts: readonly unknown[]): void {
  if (parts.length === 0) return
  const text = JSON.stringify([kind, ...parts.map(plain)])
  // A raw CID ends in the SHA-256 of its bytes.
  const digest = cidForRaw(new TextEncoder().encode(text)).bytes.slice(-32)
  const view = new DataView(digest.buffer, digest.byteOffset, digest.byteLength)
  for (let at = 0; at < 8; at++) sum[at] = (sum[at] ?? 0) + view.getUint32(at * 4)
}

function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return [...value]
  if (typeof value === 'bigint') return Number(value)
  return value ?? null
}

class TargetNames {
  readonly #store: IndexStore
  constructor(store: IndexStore) {
    this.#store = store
  }

  /** Text of targets, asked in bulk and not remembered: a full read would only fill a cache. */
  async texts(targets: ReadonlySet<number>): Promise<Map<number, string>> {
    const texts = new Map<number, string>()
    const odd: number[] = []
    const even: number[] = []
    for (const target of targets) (target % 2 === 1 ? odd : even).push(target)
    for (const part of parts(odd))
      for (const row of await this.#store.query(
        `SELECT id, did FROM ix_actor WHERE id IN (${part.map(() => '?').join(', ')})`,
        part.map((target) => (target - 1) / 2),
      ))
        texts.set(Number(row['id']) * 2 + 1, String(row['did']))
    for (const part of parts(even))
      for (const row of await this.#store.query(
        `SELECT u.id, a.did, n.name, u.rkey FROM ix_uri u JOIN ix_actor a ON a.id = u.repo JOIN ix_nsid n ON n.id = u.nsid WHERE u.id IN (${part.map(() => '?').join(', ')})`,
        part.map((target) => target / 2),
      ))
        texts.set(
          Number(row['id']) * 2,
          `at://${String(row['did'])}/${String(row['name'])}/${String(row['rkey'])}`,
        )
    return texts
  }
}

function* parts(items: readonly number[]): Generator<number[]> {
  for (let at = 0; at < items.length; at += 1_000) yield items.slice(at, at + 1_000)
}

async function eachRow(
  store: IndexStore,
  sql: string,
  visit: (rows: readonly SqlRow[]) => void,
): Promise<void> {
  let after = 0
  for (;;) {
    const rows = await store.query(sql, [after, PAGE])
    visit(rows)
    const last = rows.at(-1)
    if (rows.length < PAGE || last === undefined) return
    after = Number(last['id'])
  }
}

async function eachKeyed(
  store: IndexStore,
  table: string,
  edge: boolean,
  visit: (rows: readonly SqlRow[]) => Promise<void>,
): Promise<void> {
  let after: SqlValue[] = edge ? [0, ''] : [0]
  const keys = edge ? 'repo, rkey' : 'id'
  for (;;) {
    const rows = await store.query(
      `SELECT * FROM "${table}" WHERE (${keys}) > (${edge ? '?, ?' : '?'}) ORDER BY ${keys} LIMIT ?`,
      [...after, PAGE],
    )
    await visit(rows)
    const last = rows.at(-1)
    if (rows.length < PAGE || last === undefined) return
    after = edge ? [last['repo'] ?? 0, last['rkey'] ?? ''] : [last['id'] ?? 0]
  }
}
