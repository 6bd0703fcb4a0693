import { ConfigError } from './errors.ts'

/** Everything an operator decides. Frozen; `main.ts` is the only reader of the environment. */
export interface AppViewConfig {
  /** Address to listen on. */
  readonly host: string
  /** Port to listen on; 0 picks a free one. */
  readonly port: number
  /** Where the world reaches this server, without a path. Absent in dev: `http://localhost:<port>`. */
  readonly publicUrl?: string
  /** DID of this service. Absent: the did:web of `publicUrl`, whose document this server publishes. */
  readonly did?: string
  /** Further audiences accepted in service tokens, each a DID or `did#id`: for clients that know this AppView by another name. */
  readonly audiences: readonly string[]
  /** Folder for the index and cached images. Created when missing. */
  readonly dataDirectory: string
  /** The did:plc directory. */
  readonly plcUrl: string
  /** Where events come from: a relay, or a single PDS. */
  readonly relay: string
  /** Fetch accounts that the index does not know from the relay's `listRepos`, beside the live stream. */
  readonly backfill: boolean
  /** DIDs of the labelers that are followed; requests that name none hear all of them, and may have things redacted. */
  readonly labelers: readonly string[]
  /** Answer reads that carry no service token. */
  readonly publicReads: boolean
  /** Allows `http:` and loopback endpoints and `.test` handles. For sandboxes and tests only. */
  readonly dev: boolean
  readonly logLevel: LogLevel
  /** Most bytes of images kept on disk. The least recently used go first. */
  readonly imageCacheBytes: number
  /** Check every answer against its lexicon before it leaves; a mistake becomes a 500. For tests. */
  readonly validateOutput: boolean
}

export type LogLevel = (typeof LOG_LEVELS)[number]

const LOG_LEVELS = ['silent', 'error', 'warn', 'info', 'debug'] as const
const DEFAULT_PORT = 2584
const DEFAULT_RELAY = 'https://bsky.network'
const DEFAULT_PLC_URL = 'https://plc.directory'
/** 1 GB of images. */
const DEFAULT_IMAGE_CACHE_BYTES = 1_000_000_000
/** As many as a request may name. */
const MAX_LABELERS = 20
const MAX_IMAGE_CACHE_BYTES = 10_000_000_000_000

/** The configuration a sandbox or a test starts from: loopback, a free port, `http:` allowed, silent. */
export function devConfig(
  required: Pick<AppViewConfig, 'dataDirectory' | 'plcUrl' | 'relay'>,
  overrides: Partial<AppViewConfig> = {},
): AppViewConfig {
  return Object.freeze({
    host: '127.0.0.1',
    port: 0,
    audiences: [],
    labelers: [],
    backfill: true,
    publicReads: true,
    dev: true,
    logLevel: 'silent',
    imageCacheBytes: DEFAULT_IMAGE_CACHE_BYTES,
    validateOutput: false,
    ...required,
    ...overrides,
  })
}

/**
 * Reads the configuration out of environment variables; the README lists them.
 *
 * @throws {ConfigError} when anything is missing or malformed, naming every problem at once.
 */
export function readConfig(env: Readonly<Record<string, string | undefined>>): AppViewConfig {
  const problems: string[] = []
  const read = (name: string): string | undefined => env[name]?.trim() || undefined
  const flag = (name: string, fallback: boolean): boolean => {
    const value = read(name)
    if (value === undefined) return fallback
    if (value !== 'true' && value !== 'false')
      problems.push(`${name} must be true or false, not ${value}`)
    return value === 'true'
  }
  const integer = (name: string, fallback: number, max: number): number => {
    const value = read(name)
    if (value === undefined) return fallback
    const number = Number(value)
    if (/^\d+$/.test(value) && number <= max) return number
    problems.push(`${name} must be a whole number from 0 to ${max}, not ${value}`)
    return fallback
  }
  const dev = flag('APPVIEW_DEV', false)
  const origin = (name: string, value: string): string => {
    const problem = originProblem(value, dev)
    if (problem !== undefined) problems.push(`${name} ${problem}: ${value}`)
    return value.replace(/\/$/, '')
  }
  const level = read('APPVIEW_LOG_LEVEL') ?? 'info'
  const logLevel = LOG_LEVELS.find((known) => known === level)
  if (logLevel === undefined)
    problems.push(`APPVIEW_LOG_LEVEL must be one of ${LOG_LEVELS.join(', ')}, not ${level}`)

  const publicUrl = read('APPVIEW_PUBLIC_URL')
  if (publicUrl === undefined && !dev)
    problems.push('APPVIEW_PUBLIC_URL is required (for example https://appview.example.com)')
  const did = read('APPVIEW_DID')
  if (did !== undefined && !/^did:(web|plc):[^#\s]+$/.test(did))
    problems.push(`APPVIEW_DID must be a did:web or did:plc, not ${did}`)
  const audiences = (read('APPVIEW_AUDIENCES') ?? '').split(',').map((item) => item.trim())
  const namedAudiences = audiences.filter((item) => item !== '')
  for (const audience of namedAudiences)
    if (!/^did:[a-z]+:[^#\s]+(#[a-z0-9_-]+)?$/i.test(audience))
      problems.push(`APPVIEW_AUDIENCES must be DIDs or did#id, not ${audience}`)

  const labelers = (read('APPVIEW_LABELERS') ?? '').split(',').map((item) => item.trim())
  const namedLabelers = [...new Set(labelers.filter((item) => item !== ''))]
  for (const labeler of namedLabelers)
    if (!/^did:(web|plc):[^#;\s]+$/.test(labeler))
      problems.push(`APPVIEW_LABELERS must be DIDs, not ${labeler}`)
  if (namedLabelers.length > MAX_LABELERS)
    problems.push(`APPVIEW_LABELERS must be at most ${MAX_LABELERS} DIDs`)

  const config: AppViewConfig = Object.freeze({
    host: read('APPVIEW_HOST') ?? '127.0.0.1',
    port: integer('APPVIEW_PORT', DEFAULT_PORT, 65_535),
    ...(publicUrl === undefined ? {} : { publicUrl: origin('APPVIEW_PUBLIC_URL', publicUrl) }),
    ...(did === undefined ? {} : { did }),
    audiences: namedAudiences,
    dataDirectory: read('APPVIEW_DATA_DIRECTORY') ?? 'data',
    plcUrl: origin('APPVIEW_PLC_URL', read('APPVIEW_PLC_URL') ?? DEFAULT_PLC_URL),
    relay: origin('APPVIEW_RELAY', read('APPVIEW_RELAY') ?? DEFAULT_RELAY),
    labelers: namedLabelers,
    backfill: flag('APPVIEW_BACKFILL', true),
    publicReads: flag('APPVIEW_PUBLIC_READS', true),
    dev,
    logLevel: logLevel ?? 'info',
    imageCacheBytes: integer(
      'APPVIEW_IMAGE_CACHE_BYTES',
      DEFAULT_IMAGE_CACHE_BYTES,
      MAX_IMAGE_CACHE_BYTES,
    ),
    validateOutput: flag('APPVIEW_VALIDATE_OUTPUT', false),
  })
  if (problems.length > 0) throw new ConfigError(problems)
  return config
}

function originProblem(value: string, dev: boolean): string | undefined {
  if (!URL.canParse(value)) return 'is not a URL'
  const url = new URL(value)
  if (url.protocol !== 'https:' && !(dev && url.protocol === 'http:'))
    return dev ? 'must start with https:// or http://' : 'must start with https://'
  if (url.pathname !== '/' || url.search !== '' || url.hash !== '' || url.username !== '')
    return 'must be an origin, without path, query or credentials'
  return undefined
}
