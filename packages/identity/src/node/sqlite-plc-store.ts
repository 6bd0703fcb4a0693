import type { DatabaseSync } from 'node:sqlite'
import type { PlcStore } from '../plc-directory/store.ts'

/** A PLC store in SQLite (tables prefixed `plc_`), in a file or in a database you already have open. */
export declare function openSqlitePlcStore(options: {
  readonly database: DatabaseSync | string
}): PlcStore & Disposable
