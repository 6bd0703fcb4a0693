/**
 * A did:plc directory server: the reference HTTP API over a store you choose.
 *
 * @packageDocumentation
 */
export { createPlcDirectory } from './directory.ts'
export type { PlcDirectory, PlcDirectoryOptions } from './directory.ts'
export { createMemoryPlcStore } from './memory-store.ts'
export type { PlcStore } from './store.ts'
