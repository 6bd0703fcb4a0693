/** Everything an operator decides. Frozen; `main.ts` is the only reader of the environment. */
export interface StatusphereConfig {
  /** Address to listen on. */
  readonly host: string
  /** Port to listen on; 0 picks a free one. */
  readonly port: number
  /** Folder of the index. Created when missing; may be deleted, the index is fetched again. */
  readonly dataDirectory: string
  /** Where records come from: a relay, or a single PDS. */
  readonly relay: string
  /** The did:plc directory. */
  readonly plcUrl: string
  /** Allows `http:` and loopback servers and `.test` handles. For sandboxes and tests only. */
  readonly dev: boolean
  readonly logLevel: (typeof LOG_LEVELS)[number]
}

const LOG_LEVELS = ['silent', 'error', 'warn', 'info', 'debug'] as const
const VARIABLES = [
  'HOST',
  'PORT',
  'DATA_DIRECTORY',
  'RELAY',
  'PLC_URL',
  'DEV',
  'LOG_LEVEL',
] as const
const PREFIX = 'STATUSPHERE_'

/** The environment does not describe a statusphere; the message lists every problem, one a line. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly problems: readonly string[]
  constructor(problems: readonly string[]) {
    super(`invalid configuration:\n${problems.map((problem) => `  - ${problem}`).join('\n')}`)
    this.problems = problems
  }
}

/**
 * Reads the configuration out of environment variables; the README lists them. None is required.
 *
 * @throws {ConfigError} naming every wrong or unknown `STATUSPHERE_…` variable at once
 */
export function readConfig(env: Readonly<Record<string, string | undefined>>): StatusphereConfig {
  const problems: string[] = []
  const read = (name: (typeof VARIABLES)[number], fallback: string): string =>
    env[PREFIX + name]?.trim() || fallback
  const check = (fits: boolean, name: string, expected: string, value: string): void => {
    if (!fits) problems.push(`${PREFIX}${name} must be ${expected}, not ${JSON.stringify(value)}`)
  }
  for (const name of Object.keys(env)) {
    const known = VARIABLES.some((variable) => PREFIX + variable === name)
    if (name.startsWith(PREFIX) && !known) problems.push(`${name} is not a setting`)
  }

  const port = read('PORT', '3000')
  check(/^\d+$/.test(port) && Number(port) <= 65_535, 'PORT', 'a port from 0 to 65535', port)
  const dev = read('DEV', 'false')
  check(dev === 'true' || dev === 'false', 'DEV', 'true or false', dev)
  const level = read('LOG_LEVEL', 'info')
  const logLevel = LOG_LEVELS.find((known) => known === level)
  check(logLevel !== undefined, 'LOG_LEVEL', `one of ${LOG_LEVELS.join(', ')}`, level)
  const origin = (name: 'RELAY' | 'PLC_URL', fallback: string): string => {
    const value = read(name, fallback)
    const scheme = dev === 'true' ? 'https:// or http://' : 'https://'
    check(isOrigin(value, dev === 'true'), name, `an origin that starts with ${scheme}`, value)
    return value.replace(/\/$/, '')
  }
  const config = Object.freeze({
    host: read('HOST', '127.0.0.1'),
    port: Number(port),
    dataDirectory: read('DATA_DIRECTORY', 'data'),
    relay: origin('RELAY', 'https://bsky.network'),
    plcUrl: origin('PLC_URL', 'https://plc.directory'),
    dev: dev === 'true',
    logLevel: logLevel ?? 'info',
  })
  if (problems.length > 0) throw new ConfigError(problems)
  return config
}

function isOrigin(value: string, allowHttp: boolean): boolean {
  if (!URL.canParse(value)) return false
  const { protocol, origin } = new URL(value)
  return (
    (protocol === 'https:' || (allowHttp && protocol === 'http:')) &&
    value.replace(/\/$/, '').toLowerCase() === origin
  )
}
