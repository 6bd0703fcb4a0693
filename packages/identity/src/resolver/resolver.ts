import { getHandle, getPdsEndpoint, getSigningKey } from '../did-document-access.ts'
import type { DidDocument } from '../did-document.ts'
import { resolveDidWeb } from '../did-web.ts'
import { parseDid } from '../did.ts'
import { HandleMismatchError, IdentityError, ResolutionFailedError } from '../errors.ts'
import { createDohResolveTxt } from '../handle/doh.ts'
import type { ResolveTxt } from '../handle/dns.ts'
import { resolveHandleByNetwork } from '../handle/resolve.ts'
import type { HandleMethod } from '../handle/resolve.ts'
import { INVALID_HANDLE, parseHandle } from '../handle.ts'
import type { PublicKey } from '../keys/key.ts'
import { createPlcClient } from '../plc/client.ts'
import { DEFAULT_PLC_URL } from '../plc/client.ts'
import { CachedLookup } from './cached-lookup.ts'
import type { CacheTtls, Looked, LookupOutcome } from './cached-lookup.ts'
import type {
  DidResolution,
  HandleResolution,
  Identity,
  IdentityResolver,
  ResolutionSource,
  ResolveOptions,
} from './identity-resolver.ts'

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

const DEFAULT_TIMEOUT_MS = 5000
const DEFAULT_MAX_ENTRIES = 100_000
/** Handles remembered per DID, so that a purge of the DID finds them. */
const MAX_HANDLES_PER_DID = 8

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
   * Fetches did:web documents and handles' well-known files: URLs that strangers chose. Give it the guarded fetch of
   * `@skywright/identity/node` on servers.
   * @defaultValue `fetch`
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
   * Documents, and as many handles, kept in memory.
   * @defaultValue 100000
   */
  readonly maxEntries?: number
  /** @defaultValue {@link DEFAULT_DID_TTLS} */
  readonly didTtls?: Partial<CacheTtls>
  /** @defaultValue {@link DEFAULT_HANDLE_TTLS} */
  readonly handleTtls?: Partial<CacheTtls>
  /** @defaultValue `Date.now` */
  readonly now?: () => number
  /** Called for every lookup; must not throw. */
  readonly onEvent?: (event: ResolverEvent) => void
}

/** A resolver with its own bounded cache. Share one per process. */
export function createResolver(options: ResolverOptions = {}): IdentityResolver {
  const {
    plcUrl = DEFAULT_PLC_URL,
    fetch = globalThis.fetch,
    publicFetch = fetch,
    dohUrl,
    dev = false,
    timeoutMs = DEFAULT_TIMEOUT_MS,
    maxEntries = DEFAULT_MAX_ENTRIES,
    now = Date.now,
    onEvent,
  } = options
  const resolveTxt =
    options.resolveTxt ??
    (dohUrl === undefined ? undefined : createDohResolveTxt({ url: dohUrl, fetch, timeoutMs }))
  const directories = (typeof plcUrl === 'string' ? [plcUrl] : plcUrl).map((url) =>
    createPlcClient({ url, fetch, timeoutMs }),
  )
  const report = (kind: ResolverEvent['kind']) =>
    onEvent === undefined
      ? undefined
      : (key: string, outcome: LookupOutcome, error?: IdentityError): void => {
          onEvent({ kind, key, outcome, ...(error === undefined ? {} : { error }) })
        }

  const dids = new CachedLookup<DidRecord>({
    fetch: async (did, signal) => new DidRecord(await fetchDocument(did, signal), dev),
    ttls: { ...DEFAULT_DID_TTLS, ...options.didTtls },
    maxEntries,
    now,
    onOutcome: report('did'),
  })
  const handles = new CachedLookup<HandleAnswer>({
    fetch: (handle, signal) =>
      resolveHandleByNetwork(
        handle,
        {
          fetch: publicFetch,
          resolveTxt,
          txtMethod: options.resolveTxt === undefined ? 'doh' : 'dns',
          timeoutMs,
        },
        signal,
      ),
    ttls: { ...DEFAULT_HANDLE_TTLS, ...options.handleTtls },
    maxEntries,
    now,
    onOutcome: report('handle'),
  })

  async function fetchDocument(did: string, signal: AbortSignal): Promise<DidDocument> {
    if (parseDid(did, { dev }).method === 'web') {
      return resolveDidWeb(did, { fetch: publicFetch, timeoutMs, dev, signal })
    }
    let first: unknown
    for (const directory of directories) {
      try {
        return await directory.resolve(did, { signal })
      } catch (error) {
        signal.throwIfAborted()
        if (error instanceof IdentityError && error.family === 'NotFound') throw error
        first ??= error
      }
    }
    throw toResolutionError(did, first)
  }

  async function resolveDid(did: string, resolveOptions?: ResolveOptions): Promise<DidResolution> {
    return new CachedDidResolution(did, await dids.get(did, resolveOptions))
  }

  async function resolveHandle(
    text: string,
    resolveOptions?: ResolveOptions,
  ): Promise<HandleResolution> {
    const handle = parseHandle(text, { dev })
    const { value, source, ageMs } = await handles.get(handle, resolveOptions)
    dids.peek(value.did)?.value.addHandle(handle)
    return { handle, ...value, source, ageMs }
  }

  /**
   * The handle a document claims, checked. A cached answer that disagrees and is older than the document is asked for
   * again: the document may have just changed.
   */
  async function checkHandle(
    resolution: CachedDidResolution,
    handle: string,
    signal: AbortSignal | undefined,
  ): Promise<Error | undefined> {
    const signalOption = signal === undefined ? {} : { signal }
    const fetchedAtMs = now() - resolution.ageMs
    let error = await tryHandle(resolution.did, handle, signalOption)
    const attemptedAtMs = handles.attemptedAtMs(handle)
    if (error !== undefined && attemptedAtMs !== undefined && attemptedAtMs < fetchedAtMs) {
      handles.forget(handle)
      error = await tryHandle(resolution.did, handle, signalOption)
    }
    return error
  }

  async function tryHandle(
    did: string,
    handle: string,
    resolveOptions: ResolveOptions,
  ): Promise<Error | undefined> {
    try {
      const answer = await resolveHandle(handle, resolveOptions)
      return answer.did === did
        ? undefined
        : new HandleMismatchError(handle, did, `handle leads to ${answer.did}`)
    } catch (error) {
      if (error instanceof IdentityError) return error
      throw error
    }
  }

  async function identityOfDid(did: string, resolveOptions: ResolveOptions): Promise<Identity> {
    const resolution = new CachedDidResolution(did, await dids.get(did, resolveOptions))
    const claimed = getHandle(resolution.document)
    const handleError =
      claimed === undefined
        ? new HandleMismatchError(INVALID_HANDLE, did, 'document claims no handle')
        : await checkHandle(resolution, claimed, resolveOptions.signal)
    return toIdentity(resolution, claimed, handleError)
  }

  async function identityOfHandle(text: string, resolveOptions: ResolveOptions): Promise<Identity> {
    const { handle, did } = await resolveHandle(text, resolveOptions)
    let resolution = new CachedDidResolution(did, await dids.get(did, resolveOptions))
    if (getHandle(resolution.document) !== handle && resolution.source !== 'network') {
      // The document may be older than the handle: ask again, as often as forced refreshes allow.
      resolution = new CachedDidResolution(
        did,
        await dids.get(did, { ...resolveOptions, refresh: true }),
      )
    }
    const claimed = getHandle(resolution.document)
    if (claimed !== handle) {
      const reason =
        claimed === undefined ? 'document claims no handle' : `document claims ${claimed}`
      throw new HandleMismatchError(handle, did, reason)
    }
    return toIdentity(resolution, handle, undefined)
  }

  return {
    resolveDid,
    resolveHandle,
    resolveIdentity: (didOrHandle, resolveOptions = {}) =>
      didOrHandle.startsWith('did:')
        ? identityOfDid(didOrHandle, resolveOptions)
        : identityOfHandle(didOrHandle, resolveOptions),
    purge(did) {
      const record = dids.peek(did)?.value
      dids.forget(did)
      for (const handle of record?.handles ?? []) handles.forget(handle)
    },
  }
}

interface HandleAnswer {
  readonly did: string
  readonly method: HandleMethod
}

/** A document and what is read from it, each once. */
class DidRecord {
  readonly document: DidDocument
  readonly #dev: boolean
  readonly #handles = new Set<string>()
  #signingKey: PublicKey | undefined | null = null
  #pds: string | undefined | null = null

  constructor(document: DidDocument, dev: boolean) {
    this.document = document
    this.#dev = dev
    const claimed = getHandle(document)
    if (claimed !== undefined) this.#handles.add(claimed)
  }

  /** Handles known to lead here, or claimed. */
  get handles(): Iterable<string> {
    return this.#handles
  }

  addHandle(handle: string): void {
    if (this.#handles.size < MAX_HANDLES_PER_DID) this.#handles.add(handle)
  }

  get signingKey(): PublicKey | undefined {
    this.#signingKey = this.#signingKey === null ? getSigningKey(this.document) : this.#signingKey
    return this.#signingKey
  }

  get pds(): string | undefined {
    this.#pds =
      this.#pds === null ? getPdsEndpoint(this.document, { allowHttp: this.#dev }) : this.#pds
    return this.#pds
  }
}

class CachedDidResolution implements DidResolution {
  readonly did: string
  readonly source: ResolutionSource
  readonly ageMs: number
  readonly #record: DidRecord

  constructor(did: string, { value, source, ageMs }: Looked<DidRecord>) {
    this.did = did
    this.source = source
    this.ageMs = ageMs
    this.#record = value
  }

  get document(): DidDocument {
    return this.#record.document
  }

  get signingKey(): PublicKey | undefined {
    return this.#record.signingKey
  }

  get pds(): string | undefined {
    return this.#record.pds
  }
}

function toIdentity(
  resolution: CachedDidResolution,
  handle: string | undefined,
  handleError: Error | undefined,
): Identity {
  const { did, document, pds, signingKey, source, ageMs } = resolution
  return {
    did,
    handle: handleError === undefined && handle !== undefined ? handle : INVALID_HANDLE,
    ...(handleError === undefined ? {} : { handleError }),
    document,
    ...(pds === undefined ? {} : { pds }),
    ...(signingKey === undefined ? {} : { signingKey }),
    source,
    ageMs,
  }
}

function toResolutionError(did: string, error: unknown): unknown {
  if (!(error instanceof IdentityError) || error.code !== 'PlcRequestFailed') return error
  const { message, retryable } = error
  return new ResolutionFailedError(did, 'plc', message, { retryable, cause: error })
}
