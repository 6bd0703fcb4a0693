import { ConfigError } from './errors.ts'

/** Everything an operator decides. Frozen; `main.ts` is the only reader of the environment. */
export interface PdsConfig {
  /** Address to listen on. */
  readonly host: string
  /** Port to listen on; 0 picks a free one. */
  readonly port: number
  /** Where the world reaches this server, without a path. Absent in dev: `http://localhost:<port>`. */
  readonly publicUrl?: string
  /** Folder for the database, the blobs and generated secrets. Created when missing. */
  readonly dataDirectory: string
  /** Suffixes under which accounts may choose a handle, each with its leading dot. Absent: `.<host of publicUrl>`. */
  readonly handleDomains?: readonly string[]
  /** Key of session tokens, at least 32 characters. Absent: generated once and kept in the data folder. */
  readonly jwtSecret?: string
  /** did:plc rotation key of this server (k256, 64 hex digits). Absent: generated once and kept in the data folder. */
  readonly plcRotationKey?: string
  /** The did:plc directory. */
  readonly plcUrl: string
  /** Where `app.bsky.*` goes when a request names no service of its own. */
  readonly appView?: { readonly url: string; readonly did: string }
  /**
   * Audience of tokens for services that requests are passed on to: the bare DID, which every service
   * accepts today, or `did#service`, which the specification is moving to.
   */
  readonly proxyAudience: 'did' | 'service'
  /** Relays asked to crawl this server when it starts. */
  readonly relays: readonly string[]
  /** The largest blob accepted, bytes. */
  readonly maxBlobBytes: number
  /** When set, createAccount demands this invite code. */
  readonly inviteCode?: string
  /** Allows `http:` and loopback endpoints and `.test` handles. For sandboxes and tests only. */
  readonly dev: boolean
  /** Number of reverse proxies whose `X-Forwarded-For` entries are believed. */
  readonly trustProxy: number
  readonly logLevel: LogLevel
  /** `full` survives power loss; `normal` may lose the last commits (never a commit without its event). */
  readonly durability: 'full' | 'normal'
  /** Whether callers are held to the request budgets of `rate-limits.ts`. */
  readonly rateLimits: boolean
}

export type LogLevel = (typeof LOG_LEVELS)[number]

const LOG_LEVELS = ['silent', 'error', 'warn', 'info', 'debug'] as const
const DEFAULT_PORT = 2583
const DEFAULT_MAX_BLOB_BYTES = 100_000_000
const MIN_SECRET_CHARACTERS = 32

/** The configuration a sandbox or a test starts from: loopback, a free port, no relay, no AppView. */
export function devConfig(
  dataDirectory: string,
  plcUrl: string,
  overrides: Partial<PdsConfig> = {},
): PdsConfig {
  return Object.freeze({
    host: '127.0.0.1',
    port: 0,
    dataDirectory,
    handleDomains: ['.test'],
    plcUrl,
    proxyAudience: 'did',
    relays: [],
    maxBlobBytes: DEFAULT_MAX_BLOB_BYTES,
    dev: true,
    trustProxy: 0,
    logLevel: 'silent',
    durability: 'full',
    rateLimits: false,
    ...overrides,
  })
}

/**
 * Reads the configuration out of environment variables; the README lists them.
 *
 * @throws {ConfigError} when anything is missing or malformed, naming every problem at once.
 */
export function readConfig(env: Readonly<Record<string, string | undefined>>): PdsConfig {
  const problems: string[] = []
  const read = (name: string): string | undefined => env[name]?.trim() || undefined
  const flag = (name: string, fallback: boolean): boolean => {
    const value = read(name)
    if (value === undefined) return fallback
    if (value === 'true' || value === '1') return true
    if (value === 'false' || value === '0') return false
    problems.push(`${name} must be true or false, not ${value}`)
    return fallback
  }
  const integer = (name: string, fallback: number, min: number, max: number): number => {
    const value = read(name)
    if (value === undefined) return fallback
    const number = Number(value)
    if (/^\d+$/.test(value) && number >= min && number <= max) return number
    problems.push(`${name} must be a whole number from ${min} to ${max}, not ${value}`)
    return fallback
  }
  const dev = flag('PDS_DEV', false)
  const origin = (name: string, value: string): string => {
    const problem = originProblem(value, dev)
    if (problem !== undefined) problems.push(`${name} ${problem}: ${value}`)
    return value.replace(/\/$/, '')
  }
  const oneOf = <T extends string>(name: string, values: readonly T[], fallback: T): T => {
    const value = read(name)
    if (value === undefined) return fallback
    const match = values.find((candidate) => candidate === value)
    if (match === undefined)
      problems.push(`${name} must be one of ${values.join(', ')}, not ${value}`)
    return match ?? fallback
  }

  const publicUrl = read('PDS_PUBLIC_URL')
  if (publicUrl === undefined && !dev) {
    problems.push('PDS_PUBLIC_URL is required (for example https://pds.example.com)')
  }
  const handleDomains = list(read('PDS_HANDLE_DOMAINS'))
  for (const domain of handleDomains) {
    if (!/^(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+$/.test(domain)) {
      problems.push(`PDS_HANDLE_DOMAINS: each must look like .example.com, not ${domain}`)
    }
  }
  const jwtSecret = read('PDS_JWT_SECRET')
  if (jwtSecret !== undefined && jwtSecret.length < MIN_SECRET_CHARACTERS) {
    problems.push(`PDS_JWT_SECRET must have at least ${MIN_SECRET_CHARACTERS} characters`)
  }
  const plcRotationKey = read('PDS_PLC_ROTATION_KEY')
  if (plcRotationKey !== undefined && !/^[0-9a-f]{64}$/i.test(plcRotationKey)) {
    problems.push('PDS_PLC_ROTATION_KEY must be 64 hexadecimal digits')
  }
  const appViewText = read('PDS_APPVIEW_URL')
  const appViewUrl = appViewText && origin('PDS_APPVIEW_URL', appViewText)
  const appViewDid = read('PDS_APPVIEW_DID')
  if ((appViewUrl === undefined) !== (appViewDid === undefined)) {
    problems.push('PDS_APPVIEW_URL and PDS_APPVIEW_DID must be set together')
  }
  if (appViewDid !== undefined && !/^did:(web|plc):[^#\s]+$/.test(appViewDid)) {
    problems.push(`PDS_APPVIEW_DID must be a did:web or did:plc, not ${appViewDid}`)
  }
  const inviteCode = read('PDS_INVITE_CODE')

  const config: PdsConfig = Object.freeze({
    host: read('PDS_HOST') ?? '127.0.0.1',
    port: integer('PDS_PORT', DEFAULT_PORT, 0, 65_535),
    ...(publicUrl === undefined ? {} : { publicUrl: origin('PDS_PUBLIC_URL', publicUrl) }),
    dataDirectory: read('PDS_DATA_DIRECTORY') ?? 'data',
    ...(handleDomains.length > 0 ? { handleDomains } : {}),
    ...(jwtSecret === undefined ? {} : { jwtSecret }),
    ...(plcRotationKey === undefined ? {} : { plcRotationKey }),
    plcUrl: origin('PDS_PLC_URL', read('PDS_PLC_URL') ?? 'https://plc.directory'),
    ...(appViewUrl !== undefined && appViewDid !== undefined
      ? { appView: { url: appViewUrl, did: appViewDid } }
      : {}),
    proxyAudience: oneOf('PDS_PROXY_AUDIENCE', ['did', 'service'] as const, 'did'),
    relays: list(read('PDS_RELAYS')).map((relay) => origin('PDS_RELAYS', relay)),
    maxBlobBytes: integer('PDS_MAX_BLOB_BYTES', DEFAULT_MAX_BLOB_BYTES, 1, 10_000_000_000),
    ...(inviteCode === undefined ? {} : { inviteCode }),
    dev,
    trustProxy: integer('PDS_TRUST_PROXY', 1, 0, 10),
    logLevel: oneOf('PDS_LOG_LEVEL', LOG_LEVELS, 'info'),
    durability: oneOf('PDS_DURABILITY', ['full', 'normal'] as const, 'full'),
    rateLimits: flag('PDS_RATE_LIMITS', true),
  })
  if (problems.length > 0) throw new ConfigError(problems)
  return config
}

function list(value: string | undefined): string[] {
  return (value ?? '')
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '')
}

function originProblem(value: string, dev: boolean): string | undefined {
  if (!URL.canParse(value)) return 'is not a URL'
  const url = new URL(value)
  if (url.protocol !== 'https:' && !(dev && url.protocol === 'http:')) {
    return dev ? 'must start with https:// or http://' : 'must start with https://'
  }
  if (url.pathname !== '/' || url.search !== '' || url.hash !== '' || url.username !== '') {
    return 'must be an origin, without path, query or credentials'
  }
  return undefined
}
