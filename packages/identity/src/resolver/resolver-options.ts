import type { IdentityError } from '../errors.ts'
import type { ResolveTxt } from '../handle/dns.ts'
import type { VerifyBackend } from '../keys/backend.ts'
import type { CacheTtls, LookupOutcome } from './cached-lookup.ts'
import type { IdentityCache } from './identity-cache.ts'
import type { RequestLimits } from './request-gate.ts'

const SECOND_MS = 1000
const MINUTE_MS = 60 * SECOND_MS
const HOUR_MS = 60 * MINUTE_MS

/** How long DID documents are kept unless told otherwise. */
export const DEFAULT_DID_TTLS: CacheTtls = {
  freshMs: HOUR_MS,
  staleMs: 24 * HOUR_MS,
  negativeMs: MINUTE_MS,
  failureMs: 10 * SECOND_MS,
  minRefreshMs: MINUTE_MS,
}

/** How long handles are kept unless told otherwise. */
export const DEFAULT_HANDLE_TTLS: CacheTtls = { ...DEFAULT_DID_TTLS, freshMs: 10 * MINUTE_MS }

/** What happened in a lookup, for metrics. */
export interface ResolverEvent {
  readonly kind: 'did' | 'handle'
  readonly key: string
  readonly outcome: LookupOutcome
  /** Present with `failed` and `negative-hit`. */
  readonly error?: IdentityError
}

/** Options of {@link createResolver}. */
export interface ResolverOptions {
  /**
   * Origins of PLC directories: the first is asked, the next ones when it gives no usable answer.
   * @defaultValue `https://plc.directory`
   */
  readonly plcUrl?: string | readonly string[]
  /**
   * Fetches from the directory, and everything else unless {@link publicFetch} is given.
   * @defaultValue `globalThis.fetch`
   */
  readonly fetch?: typeof globalThis.fetch
  /**
   * Fetches did:web documents and handles' well-known files: URLs that strangers chose. On servers give it
   * `createSafeFetch` of `@skywright/identity/node`, which checks the addresses behind names too.
   * @defaultValue `createGuardedFetch({ fetch, dev })`
   */
  readonly publicFetch?: typeof globalThis.fetch
  /** DNS. Without it, {@link dohUrl} is asked; without both, handles resolve over HTTPS only. */
  readonly resolveTxt?: ResolveTxt
  /** JSON endpoint of a DNS-over-HTTPS server. */
  readonly dohUrl?: string
  /**
   * Development: `http:` endpoints, `localhost`, ports and the `.test` domain are allowed.
   * @defaultValue false
   */
  readonly dev?: boolean
  /**
   * Time for one request or DNS lookup.
   * @defaultValue 5000
   */
  readonly timeoutMs?: number
  /**
   * Documents and handles kept in memory, in a compact form of about 300 bytes each; the 20,000 most recent documents
   * and handles are kept ready to use as well.
   * @defaultValue 100000
   */
  readonly maxEntries?: number
  /**
   * Where good answers are kept instead of memory, so that they outlive the process: `openSqliteIdentityCache` of
   * `@skywright/identity/node`, or your own.
   */
  readonly cache?: IdentityCache
  /** @defaultValue {@link DEFAULT_REQUEST_LIMITS}; in development without a limit per second */
  readonly requestLimits?: Partial<RequestLimits>
  /**
   * Refuse DID documents in which a key and a service have one id (see {@link parseDidDocument}); what a cache kept
   * of such a document is asked for again.
   * @defaultValue false
   */
  readonly refuseSharedIds?: boolean
  /**
   * Who verifies with the keys of documents.
   * @defaultValue the fastest present
   */
  readonly verifyBackend?: VerifyBackend
  /** @defaultValue {@link DEFAULT_DID_TTLS} */
  readonly didTtls?: Partial<CacheTtls>
  /** @defaultValue {@link DEFAULT_HANDLE_TTLS} */
  readonly handleTtls?: Partial<CacheTtls>
  /** @defaultValue `Date.now` */
  readonly now?: () => number
  /** Called for every lookup; must not throw. */
  readonly onEvent?: (event: ResolverEvent) => void
}
