/**
 * What needs Node: DNS, the address-checking fetch and SQLite.
 *
 * @packageDocumentation
 */
export { createNodeResolveTxt, createNodeResolver } from './node-resolver.ts'
export { servePlcDirectory } from './plc-server.ts'
export type { PlcServer, PlcServerOptions } from './plc-server.ts'
export type { UpgradeServer, UpgradedSocket } from './plc-stream-sockets.ts'
export type { ResolveAddresses } from './dns-addresses.ts'
export { createSafeFetch } from './safe-fetch.ts'
export type { SafeFetchOptions } from './safe-fetch.ts'
export { openSqliteIdentityCache } from './sqlite-identity-cache.ts'
export type { SqliteIdentityCacheOptions } from './sqlite-identity-cache.ts'
export { openSqlitePlcStore } from './sqlite-plc-store.ts'
export type { SqlitePlcStoreOptions } from './sqlite-plc-store.ts'
export { createSafeLookup } from './safe-lookup.ts'
export type { SafeLookupOptions } from './safe-lookup.ts'
