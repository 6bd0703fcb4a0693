/**
 * What needs Node: DNS, the address-checking fetch and SQLite.
 *
 * @packageDocumentation
 */
export { createNodeResolver } from './node-resolver.ts'
export { createSafeFetch } from './safe-fetch.ts'
export type { SafeFetchOptions } from './safe-fetch.ts'
export { openSqlitePlcStore } from './sqlite-plc-store.ts'
