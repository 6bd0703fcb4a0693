import { LRUCache } from 'lru-cache'
import { withDeadline } from '../abort.ts'
import { getHandle } from '../did-document-access.ts'
import { checkSharedIds } from '../did-document.ts'
import type { DidDocument } from '../did-document.ts'
import { resolveDidWeb } from '../did-web.ts'
import { parseDid } from '../did.ts'
import { HandleMismatchError, IdentityError, ResolutionFailedError } from '../errors.ts'
import { createGuardedFetch } from '../guarded-fetch.ts'
import { createDohResolveTxt } from '../handle/doh.ts'
import { resolveHandleByDns } from '../handle/dns.ts'
import { resolveHandleByHttps } from '../handle/https.ts'
import { resolveHandleByNetwork } from '../handle/resolve.ts'
import type { HandleMethod } from '../handle/resolve.ts'
import { INVALID_HANDLE, parseHandle } from '../handle.ts'
import { DEFAULT_PLC_URL, createPlcClient } from '../plc/client.ts'
import { CachedLookup } from './cached-lookup.ts'
import type { LookupOutcome } from './cached-lookup.ts'
import { DEFAULT_DID_TTLS, DEFAULT_HANDLE_TTLS } from './resolver-options.ts'
import type { ResolverEvent, ResolverOptions } from './resolver-options.ts'
import { packDocument, unpackDocument } from './compact-document.ts'
import { CachedDidResolution, DidRecord } from './did-record.ts'
import { createMemoryIdentityCache } from './identity-cache.ts'
import { DEFAULT_REQUEST_LIMITS, RequestGate } from './request-gate.ts'
import type {
  HandleResolution,
  Identity,
  IdentityResolver,
  ResolveOptions,
} from './identity-resolver.ts'

const DEFAULT_TIMEOUT_MS = 5000
const DEFAULT_MAX_ENTRIES = 100_000
/** Answers kept ready to use: parsed, with prepared keys; a few kilobytes each. */
const MAX_HOT_ENTRIES = 20_000
const MAX_HANDLES_PER_DID = 8

/** A resolver with its own bounded cache. Share one per process. */
export function createResolver(options: ResolverOptions = {}): IdentityResolver {
  const {
    plcUrl = DEFAULT_PLC_URL,
    fetch = globalThis.fetch,
    dohUrl,
    dev = false,
    timeoutMs = DEFAULT_TIMEOUT_MS,
    maxEntries = DEFAULT_MAX_ENTRIES,
    now = Date.now,
    onEvent,
  } = options
  const publicFetch = options.publicFetch ?? createGuardedFetch({ fetch, dev })
  const resolveTxt =
    options.resolveTxt ??
    (dohUrl === undefined ? undefined : createDohResolveTxt({ url: dohUrl, fetch, timeoutMs }))
  const dnsMethod = options.resolveTxt === undefined ? 'doh' : 'dns'
  const directories = (typeof plcUrl === 'string' ? [plcUrl] : plcUrl).map((url) =>
    createPlcClient({ url, fetch, timeoutMs, now }),
  )
  const report = (kind: ResolverEvent['kind']) =>
    onEvent === undefined
      ? undefined
      : (key: string, outcome: LookupOutcome, error?: IdentityError): void => {
          onEvent({ kind, key, outcome, ...(error === undefined ? {} : { error }) })
        }

  const recordOptions = {
    allowHttp: dev,
    ...(options.verifyBackend === undefined ? {} : { backend: options.verifyBackend }),
  }
  const createGate = (): RequestGate =>
    new RequestGate({
      ...DEFAULT_REQUEST_LIMITS,
      ...(dev ? { maxPerSecondPerHost: Number.POSITIVE_INFINITY } : {}),
      ...options.requestLimits,
    })
  // One each, so that strangers whose hosts do not answer keep nobody from the directory.
  const directoryGate = createGate()
  const dnsGate = createGate()
  const webGate = createGate()
  const cold =
    options.cache ??
    (maxEntries > MAX_HOT_ENTRIES ? createMemoryIdentityCache(maxEntries) : undefined)
  const caching = { maxHotEntries: Math.min(maxEntries, MAX_HOT_ENTRIES), cold, now }

  /** Handles that led to a DID, so that a purge of the DID finds them. */
  const handlesOf = new LRUCache<string, Set<string>>({ max: caching.maxHotEntries })

  /** When DIDs were purged, in purges since the start. */
  const purges = new LRUCache<string, number>({ max: caching.maxHotEntries })
  let purgeCount = 0

  const createRecord = (document: DidDocument): DidRecord => {
    if (options.refuseSharedIds === true) checkSharedIds(document)
    return new DidRecord(document, recordOptions)
  }

  const dids = new CachedLookup<DidRecord>({
    check: (did) => void parseDid(did, { dev }),
    fetch: async (did, signal) => createRecord(await fetchDocument(did, signal)),
    pack: ({ document }) => packDocument(document),
    unpack: (did, text) => createRecord(unpackDocument(did, text)),
    ttls: { ...DEFAULT_DID_TTLS, ...options.didTtls },
    onOutcome: report('did'),
    ...caching,
  })
  const handles = new CachedLookup<HandleAnswer>({
    check: () => undefined,
    fetch: fetchHandle,
    pack: ({ did, method }) => `${method} ${did}`,
    unpack: (_handle, text) => {
      const [method, did = ''] = text.split(' ')
      return { did, method: method === 'dns' || method === 'doh' ? method : 'https' }
    },
    ttls: { ...DEFAULT_HANDLE_TTLS, ...options.handleTtls },
    onOutcome: report('handle'),
    ...caching,
  })

  async function fetchHandle(handle: string, signal: AbortSignal): Promise<HandleAnswer> {
    const before = purgeCount
    const answer = await resolveHandleByNetwork(
      handle,
      {
        dnsMethod,
        https: (name, ask) =>
          webGate.run(siteOf(name), 'https', ask, () =>
            resolveHandleByHttps(name, { fetch: publicFetch, timeoutMs, signal: ask }),
          ),
        dns:
          resolveTxt === undefined
            ? undefined
            : (name, ask) =>
                dnsGate.run(siteOf(name), dnsMethod, ask, () =>
                  withDeadline(ask, timeoutMs, (deadline) =>
                    resolveHandleByDns(name, resolveTxt, dnsMethod, deadline),
                  ),
                ),
      },
      signal,
    )
    // Only now is it known that the purge meant this handle too.
    if ((purges.get(answer.did) ?? 0) > before) handles.forget(handle)
    return answer
  }

  async function fetchDocument(did: string, signal: AbortSignal): Promise<DidDocument> {
    const parsed = parseDid(did, { dev })
    if (parsed.method === 'web') {
      return webGate.run(siteOf(parsed.host), 'did-web', signal, () =>
        resolveDidWeb(did, { fetch: publicFetch, timeoutMs, dev, signal }),
      )
    }
    let first: unknown
    for (const directory of directories) {
      try {
        return await directoryGate.run(directory.url, 'plc', signal, () =>
          directory.resolve(did, { signal }),
        )
      } catch (error) {
        signal.throwIfAborted()
        // A mirror may lag behind: its "no" proves nothing while the one before it could not be asked.
        const isDefinite = error instanceof IdentityError && error.family === 'NotFound'
        if (isDefinite && first === undefined) throw error
        // That one could not be asked says more than that another answered nonsense.
        if (first === undefined || (isCouldNotAsk(error) && !isCouldNotAsk(first))) first = error
      }
    }
    throw toResolutionError(did, first)
  }

  async function resolveDid(
    did: string,
    resolveOptions?: ResolveOptions,
  ): Promise<CachedDidResolution> {
    // Nothing is waited for when the cache answers: this is called for every event of a stream.
    const cached = dids.cached(did, resolveOptions)
    return new CachedDidResolution(did, cached ?? (await dids.ask(did, resolveOptions)))
  }

  async function resolveHandle(
    text: string,
    resolveOptions?: ResolveOptions,
  ): Promise<HandleResolution> {
    const handle = parseHandle(text, { dev })
    const { value, source, ageMs } = await handles.get(handle, resolveOptions)
    rememberHandle(value.did, handle)
    return { handle, ...value, source, ageMs }
  }

  function rememberHandle(did: string, handle: string): void {
    const known = handlesOf.get(did)
    if (known === undefined) handlesOf.set(did, new Set([handle]))
    else if (known.size < MAX_HANDLES_PER_DID) known.add(handle)
  }

  /**
   * The handle a document claims, checked. A cached answer that disagrees and is older than the document is asked for
   * again: the document may have just changed.
   */
  async function checkHandle(
    resolution: CachedDidResolution,
    handle: string,
    resolveOptions: ResolveOptions,
  ): Promise<Error | undefined> {
    const fetchedAtMs = now() - resolution.ageMs
    let error = await tryHandle(resolution.did, handle, resolveOptions)
    const attemptedAtMs = handles.attemptedAtMs(handle)
    if (error !== undefined && attemptedAtMs !== undefined && attemptedAtMs < fetchedAtMs) {
      handles.forget(handle)
      error = await tryHandle(resolution.did, handle, resolveOptions)
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
    const resolution = await resolveDid(did, resolveOptions)
    const claimed = getHandle(resolution.document)
    const handleError =
      claimed === undefined
        ? new HandleMismatchError(INVALID_HANDLE, did, 'document claims no handle')
        : await checkHandle(resolution, claimed, resolveOptions)
    return toIdentity(resolution, claimed, handleError)
  }

  async function identityOfHandle(text: string, resolveOptions: ResolveOptions): Promise<Identity> {
    const { handle, did, source } = await resolveHandle(text, resolveOptions)
    let resolution = await resolveDid(did, resolveOptions)
    if (getHandle(resolution.document) !== handle && resolution.source !== 'network') {
      // The document may be older than the handle: ask again, as often as forced refreshes allow.
      resolution = await resolveDid(did, { ...resolveOptions, refresh: true })
    }
    const claimed = getHandle(resolution.document)
    if (claimed === handle) return toIdentity(resolution, handle, undefined)
    if (source !== 'network' && resolveOptions.refresh !== true) {
      // Or the handle is another account's by now.
      return identityOfHandle(text, { ...resolveOptions, refresh: true })
    }
    const reason =
      claimed === undefined ? 'document claims no handle' : `document claims ${claimed}`
    throw new HandleMismatchError(handle, did, reason)
  }

  return {
    resolveDid,
    resolveHandle,
    resolveIdentity: (didOrHandle, resolveOptions = {}) =>
      // Often a field of somebody's JSON: what is no text is no handle.
      typeof didOrHandle === 'string' && didOrHandle.startsWith('did:')
        ? identityOfDid(didOrHandle, resolveOptions)
        : identityOfHandle(didOrHandle, resolveOptions),
    purge(did) {
      const document = dids.peek(did)?.value.document
      const claimed = document === undefined ? undefined : getHandle(document)
      if (claimed !== undefined) handles.forget(claimed)
      for (const handle of handlesOf.get(did) ?? []) handles.forget(handle)
      handlesOf.delete(did)
      purges.set(did, ++purgeCount)
      dids.forget(did)
    },
  }
}

interface HandleAnswer {
  readonly did: string
  readonly method: HandleMethod
}

/** The last two labels of a host: who owns a domain owns all names below it, and their limits are one. */
function siteOf(host: string): string {
  return host.split('.').slice(-2).join('.').toLowerCase()
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

function isCouldNotAsk(error: unknown): boolean {
  return error instanceof IdentityError && error.family === 'CouldNotAsk'
}

/**
 * A failure of the request itself as one of the lookup; what the answer said about the DID keeps its own class. A directory
 * that refuses, or sends a page of something between, has said nothing about the DID: what is known of it stays.
 */
function toResolutionError(did: string, error: unknown): unknown {
  if (!(error instanceof IdentityError) || 'step' in error) return error
  const { message, retryable } = error
  const family = 'CouldNotAsk'
  return new ResolutionFailedError(did, 'plc', message, { retryable, family, cause: error })
}
