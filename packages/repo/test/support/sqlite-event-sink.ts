import type { DatabaseSync } from 'node:sqlite'

import type { EventSink } from '../../src/index.ts'

/** The smallest event log in the same database: what a commit and its event share is a transaction. */
export function createSqliteEventSink(database: DatabaseSync): EventSink {
  database.exec(
    'CREATE TABLE IF NOT EXISTS event (seq INTEGER PRIMARY KEY, did TEXT NOT NULL, bytes BLOB NOT NULL)',
  )
  const next = database.prepare('SELECT COALESCE(MAX(seq), 0) + 1 AS seq FROM event')
  const insert = database.prepare('INSERT INTO event (seq, did, bytes) VALUES (?, ?, ?)')
  return {
    append(did, encode) {
      const seq = Number(next.get()?.['seq'])
      insert.run(seq, did, encode(seq))
      return seq
    },
    committed() {},
    rolledBack() {},
  }
}
