import type { IdentityResolver } from '@skywright/identity'
import { importPrivateKey } from '@skywright/identity/keys'
import {
  createProxy,
  createServiceJwt,
  reply,
  type CallContext,
  type FetchLike,
  type ProxyCredentials,
  type ProxyTarget,
  type XrpcReply,
} from '@skywright/xrpc'
import type { Account } from '../accounts/account-store.ts'

/** What the token of a passed-on request says, where it differs from the request. */
export type ProxyOverrides = Omit<ProxyCredentials, 'iss'>

/** Passes requests on to other services, signed with the caller's key. */
export interface ServiceProxy {
  /**
   * The service a request is meant for: the one its `atproto-proxy` header names, else the AppView for
   * `app.bsky.*`, else none.
   *
   * @throws {InvalidRequestError} when the header is malformed.
   */
  chooseTarget(call: CallContext): ProxyTarget | undefined
  /** Passes the request on as it is. Without an account it goes unsigned. */
  forward(
    call: CallContext,
    target: ProxyTarget,
    account: Account | undefined,
    overrides?: ProxyOverrides,
  ): Promise<XrpcReply>
  /** Passes the request on to the AppView, unsigned; `undefined` when there is none. */
  forwardToAppView(call: CallContext): Promise<XrpcReply | undefined>
}

export interface ServiceProxyOptions {
  readonly appView: { readonly url: string; readonly did: string } | undefined
  /** `did`: tokens name the bare DID as audience, which every service accepts today. `service`: `did#id`. */
  readonly audience: 'did' | 'service'
  readonly resolver: Pick<IdentityResolver, 'resolveDid'>
  /** For services the operator configured. */
  readonly fetch: FetchLike
  /** For addresses out of DID documents. */
  readonly safeFetch: FetchLike
  /** Allows `http:` endpoints in DID documents. */
  readonly dev: boolean
  readonly now: () => number
}

/** Makes the proxy: `createProxy` with this server's AppView, and tokens signed by its accounts. */
export function createServiceProxy(options: ServiceProxyOptions): ServiceProxy {
  const { resolver, now } = options
  const appView = options.appView && { ...options.appView, serviceId: 'bsky_appview' }

  async function forward(
    call: CallContext,
    target: ProxyTarget,
    account: Account | undefined,
    overrides?: ProxyOverrides,
  ): Promise<XrpcReply> {
    const proxy = proxyFor(account)
    const answer = await proxy.forward(call, { ...overrides, iss: account?.did }, target)
    const { 'content-type': encoding, ...headers } = answer.headers
    return reply(answer.body, {
      status: answer.status,
      headers,
      ...(encoding === undefined ? {} : { encoding }),
    })
  }

  // Holds nothing but its options, so that one for each call costs nothing and the key stays with its account.
  const proxyFor = (account: Account | undefined): ReturnType<typeof createProxy> =>
    createProxy({
      resolver,
      createToken: async (claims) => {
        if (account === undefined) throw new TypeError('a token needs an account')
        return createServiceJwt({
          ...claims,
          key: importPrivateKey('k256', account.signingKey),
          now,
        })
      },
      fetch: options.safeFetch,
      trustedFetch: options.fetch,
      services: appView === undefined ? [] : [appView],
      defaultTarget: (nsid) => (nsid.startsWith('app.bsky.') ? appView : undefined),
      audience: options.audience === 'did' ? 'did' : 'did#service',
      allowHttp: options.dev,
    })
  const unsigned = proxyFor(undefined)

  return {
    chooseTarget: (call) => unsigned.targetOf(call),
    forward,
    async forwardToAppView(call) {
      return appView === undefined ? undefined : forward(call, appView, undefined)
    },
  }
}
