import { readDictionary } from './dictionary.ts'

/** How strictly the events of a host are treated: only counted, counted and passed on, or dropped. */
const ENFORCEMENTS = ['observe', 'warn', 'enforce'] as const
const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const

/** Shortest admin password accepted: it protects takedowns and bans of a public service. */
const MIN_ADMIN_PASSWORD_LENGTH = 12

/** Those that have keys: https://atproto.com/specs/did#blessed-did-methods */
const DID = /^did:(plc:[a-z2-7]{24}|web:[a-zA-Z0-9.%-]+)$/

/** Everything a relay can be told. {@link readConfig} with an empty environment gives the defaults. */
export interface RelayConfig {
  /** TCP port; 0 picks a free one. */
  readonly port: number
  readonly bindAddress: string
  /** Folder of the database; created when absent. */
  readonly dataDirectory: string
  readonly plcUrl: string
  /** Allows hosts such as `localhost:2583`, plain http, and private addresses. Never on the internet. */
  readonly development: boolean
  /** Password of the user `admin`; without one, nobody gets in by a password. */
  readonly adminPassword: string | undefined
  /** Accounts whose service tokens open the admin methods. */
  readonly adminDids: readonly string[]
  /** The DID such tokens must name as audience: this relay's. Set whenever {@link adminDids} are. */
  readonly serviceDid: string | undefined
  /** Base URL of the relay this one is a replica of; without one it follows hosts itself. */
  readonly upstream: string | undefined
  /** Threads that verify commits beside the main one; 0 verifies on the main one. */
  readonly verifyThreads: number
  /** Whether the stream is served as a Jetstream at `/subscribe` too. */
  readonly jetstream: boolean
  /** The zstd dictionary its subscribers have, who then may ask for compressed messages. */
  readonly jetstreamDictionary: Uint8Array | undefined
  /** Open connections of subscribers; further ones are refused with 503. */
  readonly maxSubscribers: number
  /** Hosts to follow from the first start on. */
  readonly initialHosts: readonly string[]
  /** Whether each host is asked, once, for the accounts it has and for their collections. */
  readonly listHosts: boolean
  /** How long events stay replayable. */
  readonly retentionHours: number
  /** How many bytes of frames stay replayable. */
  readonly retentionBytes: number
  /** What new hosts start with. */
  readonly enforcement: (typeof ENFORCEMENTS)[number]
  /** New hosts accepted through requestCrawl per 24 hours, for everybody together. */
  readonly newHostsPerDay: number
  /** Accounts a new host may bring; grows with age and good behaviour. */
  readonly accountLimit: number
  /** Domains whose hosts get {@link trustedAccountLimit}; a domain covers its subdomains. */
  readonly trustedDomains: readonly string[]
  readonly trustedAccountLimit: number
  /** Domains never crawled; a domain covers its subdomains. */
  readonly bannedDomains: readonly string[]
  readonly logLevel: (typeof LOG_LEVELS)[number]
}

/** The environment does not describe a relay. The message lists every problem, one per line. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly problems: readonly string[]
  constructor(problems: readonly string[]) {
    super(
      `the configuration has ${String(problems.length)} problem${problems.length === 1 ? '' : 's'}:\n` +
        problems.map((problem) => `  - ${problem}`).join('\n'),
    )
    this.problems = problems
  }
}

type Environment = Readonly<Record<string, string | undefined>>

/**
 * Reads the configuration from environment variables.
 *
 * @throws {ConfigError} naming every wrong or unknown `RELAY_…` variable at once
 */
export function readConfig(env: Environment): RelayConfig {
  const problems: string[] = []
  const known = new Set<string>()
  const text = (name: string): string | undefined => {
    known.add(name)
    const value = env[name]?.trim()
    return value === undefined || value === '' ? undefined : value
  }
  const number = (name: string, fallback: number, min: number, max: number): number => {
    const value = text(name)
    if (value === undefined) return fallback
    const parsed = Number(value)
    if (/^[0-9]+(\.[0-9]+)?$/.test(value) && parsed >= min && parsed <= max) return parsed
    problems.push(`${name} must be a number from ${min} to ${max}; it is ${quote(value)}`)
    return fallback
  }
  const integer = (name: string, fallback: number, min: number, max: number): number => {
    const value = number(name, fallback, min, max)
    if (Number.isInteger(value)) return value
    problems.push(`${name} must be a whole number; it is ${quote(String(value))}`)
    return fallback
  }
  const choice = <T extends string>(name: string, fallback: T, allowed: readonly T[]): T => {
    const value = text(name)
    if (value === undefined) return fallback
    const found = allowed.find((option) => option === value)
    if (found !== undefined) return found
    problems.push(`${name} must be one of ${allowed.join(', ')}; it is ${quote(value)}`)
    return fallback
  }
  const list = (name: string, check: RegExp, what: string): readonly string[] => {
    const items = (text(name) ?? '')
      .split(',')
      .map((item) => item.trim())
      .filter((item) => item !== '')
    for (const item of items) {
      if (!check.test(item)) problems.push(`${name} must list ${what}; ${quote(item)} is none`)
    }
    return items
  }
  const hosts = (name: string, check: RegExp, what: string): readonly string[] =>
    list(name, check, what).map((item) => item.toLowerCase())
  const dictionary = (name: string): Uint8Array | undefined => {
    const path = text(name)
    if (path === undefined) return undefined
    try {
      return readDictionary(path)
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      problems.push(`${name} must be the file of a zstd dictionary; ${quote(path)}: ${reason}`)
      return undefined
    }
  }
  const url = <T extends string | undefined>(name: string, fallback: T): string | T => {
    const value = text(name)
    if (value === undefined) return fallback
    if (URL.canParse(value) && /^https?:$/.test(new URL(value).protocol)) return value
    problems.push(`${name} must be an http or https URL; it is ${quote(value)}`)
    return fallback
  }
  const adminPassword = text('RELAY_ADMIN_PASSWORD')
  if (adminPassword !== undefined && adminPassword.length < MIN_ADMIN_PASSWORD_LENGTH) {
    problems.push(
      `RELAY_ADMIN_PASSWORD must have at least ${MIN_ADMIN_PASSWORD_LENGTH} characters; it has ${adminPassword.length}`,
    )
  }
  const adminDids = list('RELAY_ADMIN_DIDS', DID, 'DIDs')
  const serviceDid = text('RELAY_SERVICE_DID')
  if (serviceDid !== undefined && !DID.test(serviceDid)) {
    problems.push(`RELAY_SERVICE_DID must be a DID; it is ${quote(serviceDid)}`)
  } else if (serviceDid === undefined && adminDids.length > 0) {
    problems.push('RELAY_SERVICE_DID must be set where RELAY_ADMIN_DIDS is: tokens are made for it')
  }
  const accountLimit = integer('RELAY_ACCOUNT_LIMIT', 100, 1, 100_000_000)
  const config: RelayConfig = {
    port: integer('RELAY_PORT', 2470, 0, 65_535),
    bindAddress: text('RELAY_BIND_ADDRESS') ?? '127.0.0.1',
    dataDirectory: text('RELAY_DATA_DIRECTORY') ?? 'data',
    plcUrl: url('RELAY_PLC_URL', 'https://plc.directory'),
    development: choice('RELAY_DEVELOPMENT', 'false', ['true', 'false']) === 'true',
    adminPassword,
    adminDids,
    serviceDid,
    upstream: url('RELAY_UPSTREAM', undefined),
    jetstream: choice('RELAY_JETSTREAM', 'false', ['true', 'false']) === 'true',
    jetstreamDictionary: dictionary('RELAY_JETSTREAM_DICTIONARY'),
    maxSubscribers: integer('RELAY_MAX_SUBSCRIBERS', 1_000, 1, 100_000),
    verifyThreads: integer('RELAY_VERIFY_THREADS', 0, 0, 64),
    initialHosts: hosts('RELAY_HOSTS', /^[a-z0-9.-]+(:[0-9]{1,5})?$/i, 'hostnames'),
    listHosts: choice('RELAY_LIST_HOSTS', 'true', ['true', 'false']) === 'true',
    retentionHours: number('RELAY_RETENTION_HOURS', 72, 0.01, 24 * 365),
    retentionBytes: number('RELAY_RETENTION_GB', 100, 0.001, 1_000_000) * 1e9,
    enforcement: choice('RELAY_ENFORCEMENT', 'enforce', ENFORCEMENTS),
    newHostsPerDay: integer('RELAY_NEW_HOSTS_PER_DAY', 50, 0, 1_000_000),
    accountLimit,
    trustedDomains: hosts('RELAY_TRUSTED_DOMAINS', /^[a-z0-9.-]+$/i, 'domains'),
    trustedAccountLimit: integer('RELAY_TRUSTED_ACCOUNT_LIMIT', 10_000_000, 1, 1_000_000_000),
    bannedDomains: hosts('RELAY_BANNED_DOMAINS', /^[a-z0-9.-]+$/i, 'domains'),
    logLevel: choice('RELAY_LOG_LEVEL', 'info', LOG_LEVELS),
  }
  for (const name of Object.keys(env)) {
    if (name.startsWith('RELAY_') && !known.has(name)) {
      problems.push(`${name} is no variable of the relay; known are ${[...known].join(', ')}`)
    }
  }
  if (problems.length > 0) throw new ConfigError(problems)
  return Object.freeze(config)
}

function quote(value: string): string {
  return JSON.stringify(value.slice(0, 100))
}
