/**
 * What needs Node: DNS, the address-checking fetch and SQLite.
 *
 * @packageDocumentation
 */
export { openSqlitePlcStore } from './sqlite-plc-store.ts'
export type { SqlitePlcStoreOptions } from './sqlite-plc-store.ts'
