import { DatabaseSync } from 'node:sqlite'
import { parsePlcOperation } from '../plc/operation.ts'
import type { PlcStore, SequencedPlcEntry } from '../plc-directory/store.ts'

/** Options of {@link openSqlitePlcStore}. */
export interface SqlitePlcStoreOptions {
  /** A file name (opened here and closed by dispose), or a database you already have open (left open). */
  readonly database: DatabaseSync | string
}

const SCHEMA = `
create table if not exists plc_operations (
  seq integer primary key autoincrement,
  did text not null,
  cid text not null,
  operation text not null,
  nullified integer not null default 0,
  created_at text not null,
  unique (did, cid)
) strict;
create index if not exists plc_operations_created_at on plc_operations (created_at, cid);
`
const COLUMNS = 'seq, did, cid, operation, nullified, created_at as createdAt'

/** A PLC store in SQLite. Its tables begin with `plc_`, so that it can share a database. */
export function openSqlitePlcStore(options: SqlitePlcStoreOptions): PlcStore & Disposable {
  const own = typeof options.database === 'string'
  const database =
    typeof options.database === 'string' ? new DatabaseSync(options.database) : options.database
  if (own)
    database.exec(
      'pragma busy_timeout = 5000; pragma journal_mode = wal; pragma synchronous = full',
    )
  database.exec(SCHEMA)
  const byDid = database.prepare(`select ${COLUMNS} from plc_operations where did = ? order by seq`)
  const insert = database.prepare(
    `insert into plc_operations (did, cid, operation, nullified, created_at) select ?, ?, ?, ?, ?
     where (select count(*) from plc_operations where did = ?) = ?`,
  )
  const nullifyOne = database.prepare(
    'update plc_operations set nullified = 1 where did = ? and cid = ?',
  )
  const afterSeq = database.prepare(
    `select ${COLUMNS} from plc_operations where seq > ? order by seq limit ?`,
  )
  const afterTime = database.prepare(
    `select ${COLUMNS} from plc_operations where created_at > ? order by created_at, cid limit ?`,
  )
  const withTime = database.prepare(
    `select ${COLUMNS} from plc_operations where created_at = ? and cid > ? order by cid`,
  )
  const last = database.prepare('select coalesce(max(seq), 0) as n from plc_operations')

  return {
    entries: (did) => byDid.all(did).map(readRow),
    append(entry, { expectedLength, nullify }) {
      // A savepoint nests in a transaction of whoever shares the database. It begins with a write: after a read
      // SQLite would not wait for another writer.
      database.exec('savepoint plc_append')
      try {
        const { changes, lastInsertRowid } = insert.run(
          entry.did,
          entry.cid,
          JSON.stringify(entry.operation),
          entry.nullified ? 1 : 0,
          entry.createdAt,
          entry.did,
          expectedLength,
        )
        const added = Number(changes) === 1
        if (added) for (const cid of nullify) nullifyOne.run(entry.did, cid)
        database.exec('release plc_append')
        return added ? Number(lastInsertRowid) : undefined
      } catch (error) {
        database.exec('rollback to plc_append; release plc_append')
        throw error
      }
    },
    exportAfterSeq: (after, limit) => afterSeq.all(after, limit).map(readRow),
    exportAfterTime(after, limit) {
      const page = afterTime.all(after ?? '', limit).map(readRow)
      const end = page[limit - 1]
      return end === undefined
        ? page
        : [...page, ...withTime.all(end.createdAt, end.cid).map(readRow)]
    },
    lastSeq: () => number(last.get(), 'n'),
    [Symbol.dispose]() {
      if (own && database.isOpen) database.close()
    },
  }
}

type Row = Readonly<Record<string, unknown>>

function readRow(row: Row): SequencedPlcEntry {
  return {
    seq: number(row, 'seq'),
    did: String(row['did']),
    cid: String(row['cid']),
    operation: parsePlcOperation(JSON.parse(String(row['operation']))),
    nullified: row['nullified'] === 1,
    createdAt: String(row['createdAt']),
  }
}

function number(row: Row | undefined, column: string): number {
  return Number(row?.[column] ?? 0)
}
