import { untilAborted } from './abort.ts'
import { isAllowedTld } from './did.ts'
import { ForbiddenAddressError, ResponseTooLargeError } from './errors.ts'
import { isIpAddress, isPublicAddress } from './public-address.ts'

/** Options of {@link createGuardedFetch}. */
export interface GuardedFetchOptions {
  /**
   * Makes the connections. It sees one hop at a time.
   * @defaultValue `globalThis.fetch`
   */
  readonly fetch?: typeof globalThis.fetch
  /**
   * Development: allow `http:`, any port, reserved names and private addresses.
   * @defaultValue false
   */
  readonly dev?: boolean
  /**
   * Redirects followed before giving up.
   * @defaultValue 3
   */
  readonly maxRedirects?: number
  /**
   * Bytes of a decoded body; a longer one fails while it is read.
   * @defaultValue 10485760
   */
  readonly maxBytes?: number
  /**
   * Time from the call to the last byte of the body.
   * @defaultValue 10000
   */
  readonly timeoutMs?: number
}

const DEFAULT_MAX_REDIRECTS = 3
const DEFAULT_MAX_BYTES = 10_485_760
const DEFAULT_TIMEOUT_MS = 10_000
const MAX_URL_CHARS = 8192

/** Statuses that move a request elsewhere, and those that keep its method. */
const REDIRECTS = new Set([301, 302, 303, 307, 308])
const KEEPS_METHOD = new Set([307, 308])
/** Headers that must not reach another origin. */
const CREDENTIAL_HEADERS = ['authorization', 'cookie', 'proxy-authorization', 'dpop']

/**
 * A `fetch` for URLs that strangers chose: https on port 443 only, no user, no reserved names, no addresses outside
 * the public internet, the same again on every redirect, and bounds on time and size.
 *
 * This function checks what stands in the URL. What a name resolves to is checked by the `fetch` it is given:
 * `createSafeFetch` of `@skywright/identity/node` checks and pins it. On runtimes that do not let code see addresses
 * (Workers, browsers), their network policy is the second half.
 *
 * The result rejects with {@link ForbiddenAddressError} when a URL or redirect is refused; its bodies fail with
 * {@link ResponseTooLargeError}.
 */
export function createGuardedFetch(options: GuardedFetchOptions = {}): typeof globalThis.fetch {
  const {
    fetch = globalThis.fetch,
    dev = false,
    maxRedirects = DEFAULT_MAX_REDIRECTS,
    maxBytes = DEFAULT_MAX_BYTES,
    timeoutMs = DEFAULT_TIMEOUT_MS,
  } = options

  return async (input, init = {}) => {
    // Before a Request is made of it, which throws its own errors for what is no URL or has a user.
    checkUrl(input instanceof Request ? input.url : String(input), dev)
    const ofRequest = init.signal === undefined && input instanceof Request ? input : undefined
    const caller = ofRequest ?? { signal: init.signal ?? undefined }
    // Without the signal: a Request follows one by a link that may be collected while the body is still read.
    const asked = new Request(input, { ...init, signal: null })
    const policy = init.redirect ?? asked.redirect
    const deadline = createDeadline(caller, timeoutMs)
    try {
      deadline.signal.throwIfAborted()
      const response = await followHops(asked, policy, deadline.signal)
      if (response.body !== null) return boundBody(response, response.body, maxBytes, deadline)
      deadline.clear()
      return response
    } catch (error) {
      deadline.clear()
      throw error
    }
  }

  async function followHops(
    asked: Request,
    policy: RequestRedirect,
    signal: AbortSignal,
  ): Promise<Response> {
    // Not every fetch heeds its signal.
    const send = (url: string, init: RequestInit): Promise<Response> =>
      untilAborted(fetch(url, init), signal)
    let request = new Request(asked, { redirect: 'manual', signal })
    for (let hops = 0; ; hops++) {
      // A body can be sent once only, so a redirect that keeps it needs its own copy.
      const copy = request.body === null ? undefined : request.clone()
      const response = await send(request.url, requestInit(request, signal))
      if (response.type === 'opaqueredirect' && policy === 'follow') {
        // Browsers hide where a redirect leads, follow it themselves, and let no page reach more than its user can.
        return send(request.url, { ...requestInit(copy ?? request, signal), redirect: 'follow' })
      }
      if (!REDIRECTS.has(response.status) || policy === 'manual')
        return withUrl(response, request.url)
      response.body?.cancel().catch(() => undefined)
      if (policy === 'error') throw new ForbiddenAddressError(request.url, 'redirected')
      if (hops >= maxRedirects) throw new ForbiddenAddressError(request.url, 'too many redirects')
      request = nextRequest(copy ?? request, response, signal, dev)
    }
  }
}

/** Whoever may give a request up. */
interface Caller {
  readonly signal: AbortSignal | undefined
}

interface Deadline {
  readonly signal: AbortSignal
  /** Held as long as this: the signal of a Request hears nothing once the Request is collected. */
  readonly caller: Caller
  /** Call when the time no longer matters. */
  readonly clear: () => void
}

function createDeadline(caller: Caller, timeoutMs: number): Deadline {
  const { signal: outer } = caller
  const controller = new AbortController()
  const abort = (): void => {
    controller.abort(outer?.reason)
  }
  const clear = (): void => {
    clearTimeout(timer as Parameters<typeof clearTimeout>[0])
    outer?.removeEventListener('abort', abort)
  }
  const timer: unknown = setTimeout(() => {
    clear()
    controller.abort(new DOMException('the time allowed is over', 'TimeoutError'))
  }, timeoutMs)
  // Where timers hold a process open, this one should not: its request does.
  if (isUnrefable(timer)) timer.unref()
  if (outer?.aborted === true) abort()
  outer?.addEventListener('abort', abort, { once: true })
  return { signal: controller.signal, caller, clear }
}

function isUnrefable(timer: unknown): timer is { unref(): void } {
  return typeof timer === 'object' && timer !== null && 'unref' in timer
}

function requestInit(request: Request, signal: AbortSignal): RequestInit {
  const { method, headers, body } = request
  return {
    method,
    headers,
    redirect: 'manual',
    signal,
    ...(body === null ? {} : { body, duplex: 'half' }),
  }
}

function nextRequest(
  previous: Request,
  response: Response,
  signal: AbortSignal,
  dev: boolean,
): Request {
  const location = response.headers.get('location')
  if (location === null || !URL.canParse(location, previous.url)) {
    throw new ForbiddenAddressError(previous.url, 'redirect without a usable location')
  }
  const url = new URL(location, previous.url)
  checkUrl(url.href, dev)
  const headers = new Headers(previous.headers)
  if (url.origin !== new URL(previous.url).origin) {
    for (const name of CREDENTIAL_HEADERS) headers.delete(name)
  }
  if (KEEPS_METHOD.has(response.status)) {
    return new Request(url, { ...requestInit(previous, signal), headers })
  }
  headers.delete('content-type')
  headers.delete('content-length')
  const method = previous.method === 'HEAD' ? 'HEAD' : 'GET'
  return new Request(url, { method, headers, redirect: 'manual', signal })
}

/** @throws {ForbiddenAddressError} when the URL itself says that it must not be fetched */
function checkUrl(text: string, dev: boolean): void {
  if (!URL.canParse(text)) throw new ForbiddenAddressError(text, 'not a URL')
  const url = new URL(text)
  if (text.length > MAX_URL_CHARS) throw new ForbiddenAddressError(text, 'URL too long')
  if (url.protocol !== 'https:' && !(dev && url.protocol === 'http:')) {
    throw new ForbiddenAddressError(text, 'not https')
  }
  if (url.username !== '' || url.password !== '')
    throw new ForbiddenAddressError(text, 'user in URL')
  if (dev) return
  if (url.port !== '') throw new ForbiddenAddressError(text, 'port is not 443')
  const host = url.hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '')
  if (isIpAddress(host)) {
    if (!isPublicAddress(host)) throw new ForbiddenAddressError(text, 'address is not public')
    return
  }
  if (!host.includes('.') || !isAllowedTld(host, false)) {
    throw new ForbiddenAddressError(text, 'name is not public')
  }
}

/** The response with a body that fails when it grows too long or takes too long, and lets the deadline go when it ends. */
function boundBody(
  response: Response,
  body: ReadableStream<Uint8Array>,
  maxBytes: number,
  deadline: Deadline,
): Response {
  const reader = body.getReader()
  let length = 0
  const bounded = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const { done, value } = await untilAborted(reader.read(), deadline.signal)
          if (done) {
            deadline.clear()
            controller.close()
            return
          }
          length += value.length
          if (length > maxBytes) throw new ResponseTooLargeError(response.url, maxBytes)
          controller.enqueue(value)
        } catch (error) {
          deadline.clear()
          // Not awaited: a source may take its time to stop. No effect where it failed itself.
          reader.cancel(error).catch(() => undefined)
          throw error
        }
      },
      async cancel(reason) {
        deadline.clear()
        await reader.cancel(reason)
      },
    },
    { highWaterMark: 0 },
  )
  const { status, statusText, headers } = response
  return withUrl(new Response(bounded, { status, statusText, headers }), response.url)
}

/** A response knows its URL only when `fetch` made it. */
function withUrl(response: Response, url: string): Response {
  return response.url === url
    ? response
    : Object.defineProperty(response, 'url', { value: url, configurable: true })
}
