import { pino, type Logger } from 'pino'
import type { LogLevel } from './config.ts'

export type { Logger }

/** Makes the server's log: one JSON object per line on standard output, without secrets. */
export function createLog(level: LogLevel): Logger {
  return pino({ name: 'pds', level, base: null, timestamp: pino.stdTimeFunctions.isoTime })
}
