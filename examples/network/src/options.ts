import { parseArgs } from 'node:util'
import type { NetworkOptions } from './network.ts'

/** What `npm start` was told. */
export interface StartOptions {
  readonly network: NetworkOptions
  /** Stop after the demonstration. */
  readonly exit: boolean
}

const LOG_LEVELS = ['silent', 'error', 'warn', 'info', 'debug'] as const

/**
 * Reads `[--exit] [--data DIR] [--log LEVEL]`.
 *
 * @throws {TypeError} for anything else, saying what
 */
export function readOptions(args: readonly string[]): StartOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      exit: { type: 'boolean', default: false },
      data: { type: 'string' },
      log: { type: 'string', default: 'silent' },
    },
  })
  const logLevel = LOG_LEVELS.find((level) => level === values.log)
  if (logLevel === undefined) throw new TypeError(`--log takes one of ${LOG_LEVELS.join(', ')}`)
  return {
    exit: values.exit,
    network: { logLevel, ...(values.data === undefined ? {} : { dataDirectory: values.data }) },
  }
}
