import { Readable } from 'node:stream'
import { getServiceEndpoint, IdentityError, type IdentityResolver } from '@skywright/identity'
import { importPrivateKey } from '@skywright/identity/keys'
import {
  createServiceJwt,
  InvalidRequestError,
  parseProxyHeader,
  reply,
  UpstreamFailureError,
  XrpcError,
  type CallContext,
  type XrpcReply,
} from '@skywright/xrpc'
import type { Account } from '../accounts/account-store.ts'

/** A service that requests are passed on to. */
export interface ProxyTarget {
  /** Origin. */
  readonly url: string
  /** Audience of the tokens it accepts. */
  readonly audience: string
  /** Whether the operator chose it; others are reached through the address-checking fetch. */
  readonly trusted: boolean
}

/** What the token of a passed-on request says, where it differs from the request. */
export interface ProxyOverrides {
  readonly audience?: string
  readonly lxm?: string
}

/** Passes requests on to other services, signed with the caller's key. */
export interface ServiceProxy {
  /**
   * The service a request is meant for: the one its `atproto-proxy` header names, else the AppView for
   * `app.bsky.*`, else none.
   *
   * @throws {InvalidRequestError} when the header is malformed or names nothing usable.
   */
  chooseTarget(call: CallContext): Promise<ProxyTarget | undefined>
  /** Passes the request on as it is. Without an account it goes unsigned. */
  forward(
    call: CallContext,
    target: ProxyTarget,
    account: Account | undefined,
    overrides?: ProxyOverrides,
  ): Promise<XrpcReply>
  /** Passes the request on to the AppView; `undefined` when there is none. */
  forwardToAppView(call: CallContext, account: Account | undefined): Promise<XrpcReply | undefined>
}

export interface ServiceProxyOptions {
  readonly appView: { readonly url: string; readonly did: string } | undefined
  /** `did`: tokens name the bare DID as audience, which every service accepts today. `service`: `did#id`. */
  readonly audience: 'did' | 'service'
  readonly resolver: Pick<IdentityResolver, 'resolveDid'>
  /** For services the operator configured. */
  readonly fetch: typeof globalThis.fetch
  /** For addresses out of DID documents. */
  readonly safeFetch: typeof globalThis.fetch
  /** Allows `http:` endpoints in DID documents. */
  readonly dev: boolean
  readonly now: () => number
}

/** Longest wait for the first byte of an answer. */
const HEADERS_TIMEOUT_MS = 10_000
/** Longest time for a whole answer. */
const ANSWER_TIMEOUT_MS = 60_000
/** Largest answer passed back, bytes. */
const MAX_ANSWER_BYTES = 10 * 1024 * 1024
const APPVIEW_ID = 'bsky_appview'
const REQUEST_HEADERS = [
  'accept',
  'accept-language',
  'atproto-accept-labelers',
  'content-encoding',
  'content-type',
  'x-bsky-topics',
]
const RESPONSE_HEADERS = [
  'atproto-content-labelers',
  'atproto-repo-rev',
  'cache-control',
  'content-language',
  'retry-after',
]

/** Makes the proxy. */
export function createServiceProxy(options: ServiceProxyOptions): ServiceProxy {
  const { appView, audience, resolver, fetch, safeFetch, dev, now } = options
  const audienceOf = (did: string, id: string): string =>
    audience === 'did' ? did : `${did}#${id}`
  const appViewTarget: ProxyTarget | undefined = appView && {
    url: appView.url,
    audience: audienceOf(appView.did, APPVIEW_ID),
    trusted: true,
  }

  async function resolveTarget(header: string, signal: AbortSignal): Promise<ProxyTarget> {
    const { did, serviceId } = parseProxyHeader(header)
    if (appViewTarget !== undefined && did === appView?.did && serviceId === APPVIEW_ID) {
      return appViewTarget
    }
    const { document } = await resolver.resolveDid(did, { signal }).catch((cause: unknown) => {
      if (!(cause instanceof IdentityError)) throw cause
      if (cause.retryable)
        throw new UpstreamFailureError('the proxied service could not be found', { cause })
      throw new InvalidRequestError('could not resolve proxy did', { cause })
    })
    const url = getServiceEndpoint(document, serviceId, undefined, { allowHttp: dev })
    if (url === undefined) {
      throw new InvalidRequestError(`could not resolve proxy did service url: #${serviceId}`)
    }
    return { url, audience: audienceOf(did, serviceId), trusted: false }
  }

  async function forward(
    call: CallContext,
    target: ProxyTarget,
    account: Account | undefined,
    overrides: ProxyOverrides = {},
  ): Promise<XrpcReply> {
    const { request, signal } = call
    const headers = pickHeaders(request.headers, REQUEST_HEADERS)
    if (account !== undefined) {
      const jwt = await createServiceJwt({
        iss: account.did,
        aud: overrides.audience ?? target.audience,
        lxm: overrides.lxm ?? call.nsid,
        key: importPrivateKey('k256', account.signingKey),
        now,
      })
      headers['authorization'] = `Bearer ${jwt}`
    }
    const headersLate = new AbortController()
    const timer = setTimeout(() => headersLate.abort(), HEADERS_TIMEOUT_MS)
    const body = request.method === 'POST' ? request.body : null
    try {
      const response = await (target.trusted ? fetch : safeFetch)(`${target.url}${request.url}`, {
        method: request.method,
        headers,
        redirect: 'error',
        signal: AbortSignal.any([
          signal,
          headersLate.signal,
          AbortSignal.timeout(ANSWER_TIMEOUT_MS),
        ]),
        // Web streams of Node and of the DOM library are one thing under two type names.
        ...(body === null
          ? {}
          : { body: Readable.toWeb(Readable.from(body)) as unknown as BodyInit, duplex: 'half' }),
      } as RequestInit)
      return reply(response.body === null ? undefined : bounded(response.body), {
        encoding: response.headers.get('content-type') ?? 'application/octet-stream',
        status: response.status,
        headers: pickHeaders(response.headers, RESPONSE_HEADERS),
      })
    } catch (cause) {
      if (signal.aborted) throw cause
      if (headersLate.signal.aborted) {
        throw new XrpcError(504, 'UpstreamTimeout', 'the proxied service did not answer in time', {
          cause,
        })
      }
      throw new UpstreamFailureError('the proxied service could not be reached', { cause })
    } finally {
      clearTimeout(timer)
    }
  }

  return {
    async chooseTarget({ nsid, request, signal }) {
      const header = request.headers.get('atproto-proxy')
      if (header !== null) return resolveTarget(header, signal)
      return nsid.startsWith('app.bsky.') ? appViewTarget : undefined
    },
    forward,
    async forwardToAppView(call, account) {
      return appViewTarget === undefined ? undefined : forward(call, appViewTarget, account)
    },
  }
}

function pickHeaders(
  from: { get(name: string): string | null },
  names: readonly string[],
): Record<string, string> {
  const picked: Record<string, string> = {}
  for (const name of names) {
    const value = from.get(name)
    if (value !== null) picked[name] = value
  }
  return picked
}

async function* bounded(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, void> {
  let bytes = 0
  for await (const chunk of body) {
    bytes += chunk.length
    if (bytes > MAX_ANSWER_BYTES)
      throw new Error(`proxied answer is too large; max=${MAX_ANSWER_BYTES}`)
    yield chunk
  }
}
