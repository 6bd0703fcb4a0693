import type { IdentityResolver } from '@skywright/identity'
import { toReadableStream } from './body.ts'
import type { CallContext } from './call-context.ts'
import { ForbiddenError, InvalidRequestError, UpstreamFailureError, XrpcError } from './errors.ts'
import type { FetchLike } from './fetch-like.ts'
import { isProtectedMethod } from './protected-methods.ts'
import { formatProxyHeader, parseProxyHeader } from './proxy-header.ts'
import type { ProxyTarget } from './proxy-header.ts'
import type { XrpcResponse } from './request.ts'

/** 10 MB, the most an answer passed on may be. */
const MAX_RESPONSE_BYTES = 10_000_000
const HEADERS_TIMEOUT_MS = 10_000
/** Longest silence between two chunks of an answer. */
const BODY_TIMEOUT_MS = 30_000

const REQUEST_HEADERS = [
  'accept-language',
  'atproto-accept-labelers',
  'content-encoding',
  'content-type',
  'x-bsky-topics',
] as const
const RESPONSE_HEADERS = [
  'atproto-content-labelers',
  'atproto-repo-rev',
  'cache-control',
  'content-disposition',
  'content-language',
  'content-security-policy',
  'content-type',
  'etag',
  'last-modified',
  'retry-after',
  'x-content-type-options',
] as const

/** Who asks, and on what terms, of one proxied call. */
export interface ProxyCredentials {
  /** DID of the account that the token speaks for. `undefined` sends no token. */
  readonly iss: string | undefined
  /**
   * Audience of the token where it is not the service asked, as for a feed generator behind an AppView.
   * @defaultValue the target, in the form of {@link ProxyOptions.audience}
   */
  readonly aud?: string
  /** Method of the token where it is not the one called. @defaultValue the method called */
  readonly lxm?: string
}

/** A service that the operator configured, reached without asking its DID document. */
export interface KnownService extends ProxyTarget {
  /** Origin. */
  readonly url: string
}

/** Options of {@link createProxy}. */
export interface ProxyOptions {
  readonly resolver: Pick<IdentityResolver, 'resolveDid'>
  /** Mints the service token of one call; {@link createServiceJwt} with the account's key. */
  readonly createToken: (claims: {
    readonly iss: string
    readonly aud: string
    readonly lxm: string
  }) => Promise<string>
  /**
   * Fetches from hosts that strangers name, so on a server it has to refuse private addresses
   * (`@skywright/identity/node` has one that does).
   */
  readonly fetch: FetchLike
  /** Services that the operator chose: their addresses are trusted and reached by {@link ProxyOptions.trustedFetch}. */
  readonly services?: readonly KnownService[]
  /** For {@link ProxyOptions.services}. @defaultValue the global `fetch` */
  readonly trustedFetch?: FetchLike
  /** Where calls without a header go. @defaultValue nowhere */
  readonly defaultTarget?: (nsid: string) => ProxyTarget | undefined
  /** Last word on a target and method. @defaultValue anything that is not protected */
  readonly allow?: (target: ProxyTarget, nsid: string) => boolean
  /**
   * What the token's audience is: the bare DID that services expect today, or `did#service`.
   * @defaultValue 'did'
   */
  readonly audience?: 'did' | 'did#service'
  /** Accepts `http:` endpoints (development). @defaultValue false */
  readonly allowHttp?: boolean
  /** Longest answer in bytes. @defaultValue 10,000,000 */
  readonly maxResponseBytes?: number
  /** Longest time the service may take to read a chunk of the body, and to answer after the last. @defaultValue 10,000 */
  readonly headersTimeoutMs?: number
  /** Longest silence within an answer. @defaultValue 30,000 */
  readonly bodyTimeoutMs?: number
}

/** Passes calls on to the services that users choose. */
export interface Proxy {
  /**
   * Where a call asks to go: its `atproto-proxy` header, else the default.
   * @throws {InvalidRequestError} when the header is malformed
   */
  targetOf(call: CallContext): ProxyTarget | undefined
  /**
   * Passes a call on, body and answer streaming.
   *
   * @throws {InvalidRequestError} when there is no target, or it names no usable service
   * @throws {ForbiddenError} when the method is protected or the target not allowed
   * @throws {XrpcError} 502 or 504 when the service cannot be reached or fails
   */
  forward(
    call: CallContext,
    credentials: ProxyCredentials,
    target?: ProxyTarget,
  ): Promise<XrpcResponse>
}

/** Makes the proxying part of a PDS. */
export function createProxy(options: ProxyOptions): Proxy {
  function targetOf(call: CallContext): ProxyTarget | undefined {
    const header = call.request.headers.get('atproto-proxy')
    return header === null ? options.defaultTarget?.(call.nsid) : parseProxyHeader(header)
  }
  return {
    targetOf,
    async forward(call, credentials, target = targetOf(call)) {
      if (target === undefined) throw new InvalidRequestError('no service to proxy to')
      const { nsid } = call
      if (isProtectedMethod(nsid) || options.allow?.(target, nsid) === false) {
        throw new ForbiddenError(`method may not be proxied; nsid=${nsid}`)
      }
      const endpoint = await resolveTarget(target, options)
      const headers = requestHeaders(call)
      const { iss, lxm = nsid } = credentials
      if (iss !== undefined) {
        const { did } = target
        const usual = options.audience === 'did#service' ? formatProxyHeader(target) : did
        const token = await options.createToken({ iss, aud: credentials.aud ?? usual, lxm })
        headers['authorization'] = `Bearer ${token}`
      }
      return send(endpoint, headers, call, options)
    },
  }
}

/** Where a target is, and how to get there. */
interface Endpoint {
  readonly url: string
  readonly fetch: FetchLike
}

async function resolveTarget(target: ProxyTarget, options: ProxyOptions): Promise<Endpoint> {
  const { allowHttp = false, services = [], fetch } = options
  const known = services.find(
    ({ did, serviceId }) => did === target.did && serviceId === target.serviceId,
  )
  if (known !== undefined) {
    const trusted = options.trustedFetch ?? (async (url, init) => globalThis.fetch(url, init))
    return { url: new URL(known.url).origin, fetch: trusted }
  }
  const document = await documentOf(target, options)
  // Not imported with this module: who only calls methods needs no DID documents.
  const { getServiceEndpoint } = await import('@skywright/identity')
  const url = getServiceEndpoint(document, target.serviceId, undefined, { allowHttp })
  if (url === undefined) {
    throw new InvalidRequestError('atproto-proxy names a service that its DID does not have')
  }
  return { url, fetch }
}

async function documentOf(
  target: ProxyTarget,
  options: ProxyOptions,
): Promise<Awaited<ReturnType<IdentityResolver['resolveDid']>>['document']> {
  try {
    return (await options.resolver.resolveDid(target.did)).document
  } catch (cause) {
    const { retryable } = cause as { readonly retryable?: unknown }
    if (retryable === true) throw new UpstreamFailureError('could not resolve service', { cause })
    throw new InvalidRequestError('atproto-proxy names a DID that does not resolve', { cause })
  }
}

function requestHeaders(call: CallContext): Record<string, string> {
  const headers: Record<string, string> = {}
  for (const name of REQUEST_HEADERS) {
    const value = call.request.headers.get(name)
    if (value !== null) headers[name] = value
  }
  return headers
}

async function send(
  endpoint: Endpoint,
  headers: Record<string, string>,
  call: CallContext,
  options: ProxyOptions,
): Promise<XrpcResponse> {
  const { headersTimeoutMs = HEADERS_TIMEOUT_MS } = options
  const { method, url, body } = call.request
  const timeout = new AbortController()
  const deadline = createDeadline(timeout, headersTimeoutMs)
  deadline.start()
  const init: RequestInit & { duplex?: 'half' } = {
    method,
    headers,
    redirect: 'manual',
    signal: AbortSignal.any([call.signal, timeout.signal]),
    ...(body === null || method !== 'POST'
      ? {}
      : { body: toReadableStream(timed(body, deadline)), duplex: 'half' as const }),
  }
  try {
    const response = await endpoint.fetch(endpoint.url + url, init)
    return await answerOf(response, timeout, options)
  } catch (cause) {
    if (cause instanceof XrpcError) throw cause
    if (call.signal.aborted) throw call.signal.reason
    if (timeout.signal.aborted) {
      throw new XrpcError(504, 'UpstreamTimeout', 'service did not answer in time', { cause })
    }
    throw new UpstreamFailureError('service could not be reached', { cause })
  } finally {
    deadline.end()
  }
}

/** Time that a service may take, which stands still while the caller is the slow one. */
interface Deadline {
  start(): void
  stop(): void
  /** Stops for good. */
  end(): void
}

function createDeadline(timeout: AbortController, ms: number): Deadline {
  let timer: ReturnType<typeof setTimeout> | undefined
  let ended = false
  const stop = (): void => clearTimeout(timer)
  return {
    start() {
      stop()
      if (!ended) timer = setTimeout(() => timeout.abort(), ms)
    },
    stop,
    end() {
      ended = true
      stop()
    },
  }
}

/** The caller's body; the service has its time anew for each chunk, and for its answer after the last. */
async function* timed(
  body: AsyncIterable<Uint8Array>,
  deadline: Deadline,
): AsyncGenerator<Uint8Array, void, void> {
  deadline.stop()
  for await (const chunk of body) {
    deadline.start()
    yield chunk
    deadline.stop()
  }
  deadline.start()
}

async function answerOf(
  response: Response,
  timeout: AbortController,
  options: ProxyOptions,
): Promise<XrpcResponse> {
  const { maxResponseBytes = MAX_RESPONSE_BYTES, bodyTimeoutMs = BODY_TIMEOUT_MS } = options
  const { status, body } = response
  const declared = Number(response.headers.get('content-length') ?? 0)
  const broken = status === 500 || status < 200 || (status >= 300 && status < 400)
  if ((broken && status !== 304) || declared > maxResponseBytes) {
    await body?.cancel()
    throw new UpstreamFailureError(
      broken ? `service answered with status ${status}` : 'answer of the service is too large',
    )
  }
  const headers: Record<string, string> = {}
  for (const name of RESPONSE_HEADERS) {
    const value = response.headers.get(name)
    if (value !== null) headers[name] = value
  }
  if (body === null) return { status, headers, body: undefined }
  return { status, headers, body: guarded(body, timeout, maxResponseBytes, bodyTimeoutMs) }
}

/** The answer's body, cut off when it grows too long or falls silent. */
async function* guarded(
  body: ReadableStream<Uint8Array>,
  timeout: AbortController,
  maxBytes: number,
  timeoutMs: number,
): AsyncGenerator<Uint8Array, void, void> {
  let length = 0
  const silence = createDeadline(timeout, timeoutMs)
  silence.start()
  try {
    for await (const chunk of body) {
      silence.stop()
      length += chunk.length
      if (length > maxBytes) throw new UpstreamFailureError('answer of the service is too large')
      yield chunk
      silence.start()
    }
  } finally {
    silence.end()
  }
}
