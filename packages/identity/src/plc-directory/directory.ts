import type { PlcStore } from './store.ts'

/** Options of {@link createPlcDirectory}. */
export interface PlcDirectoryOptions {
  /** @defaultValue a memory store */
  readonly store?: PlcStore
  /** @defaultValue `Date.now` */
  readonly now?: () => number
}

/** A directory as a Web handler: mounts in any server. */
export interface PlcDirectory {
  fetch(request: Request): Promise<Response>
}

/** A PLC directory over a store. */
export declare function createPlcDirectory(options?: PlcDirectoryOptions): PlcDirectory
