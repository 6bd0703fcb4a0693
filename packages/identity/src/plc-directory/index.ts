/**
 * A did:plc directory server: the reference HTTP API over a store you choose, as a Web handler.
 *
 * @packageDocumentation
 */
export { createPlcDirectory } from './directory.ts'
export type { PlcDirectory, PlcDirectoryOptions } from './directory.ts'
export type { PlcStreamOptions } from './export-stream.ts'
export { createMemoryPlcStore } from './memory-store.ts'
export { DEFAULT_PLC_RATE_LIMITS } from './rate-limit.ts'
export type { PlcRateLimits } from './rate-limit.ts'
export type { MaybePromise, PlcAppendChange, PlcStore, SequencedPlcEntry } from './store.ts'
