/**
 * Durable state in SQLite (`node:sqlite`): event log, cursors and chain state, beside any other tables.
 *
 * @packageDocumentation
 */
export { openSqliteEventLog } from './event-log/sqlite.ts'
export type { SqliteEventLogOptions } from './event-log/sqlite.ts'
export { openSqliteChainStore } from './verify/sqlite-chain-store.ts'
export type { SqliteChainStore, SqliteChainStoreOptions } from './verify/sqlite-chain-store.ts'
export { openSqliteCursorStore } from './sqlite-cursor-store.ts'
export type { SqliteCursorStore, SqliteCursorStoreOptions } from './sqlite-cursor-store.ts'
export { openSqliteSyncStore } from './resync/sqlite-sync-store.ts'
export type { SqliteSyncStore } from './resync/sqlite-sync-store.ts'
