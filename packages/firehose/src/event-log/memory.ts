import type { TransactionalEventLog } from './port.ts'

export interface MemoryEventLogOptions {
  /** First number given out is one above this. @defaultValue 0 */
  readonly lastSeq?: number
  readonly now?: () => number
}

/** An event log that forgets at exit. */
export declare function createMemoryEventLog(options?: MemoryEventLogOptions): TransactionalEventLog
