import type { PlcStore } from './store.ts'

/** A store that forgets when the process ends. */
export declare function createMemoryPlcStore(): PlcStore
