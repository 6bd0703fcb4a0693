import { pino, type Logger } from 'pino'
import type { RelayConfig } from './config.ts'

/** JSON lines on standard output. `hostname` in them is the host of the network that a line is about, not this machine. */
export function createLogger(name: string, { logLevel }: Pick<RelayConfig, 'logLevel'>): Logger {
  return pino({ level: logLevel, base: { name } })
}
