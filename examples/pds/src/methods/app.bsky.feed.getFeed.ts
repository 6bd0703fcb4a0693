import { defineMethod, UpstreamFailureError, XrpcError, type XrpcMethod } from '@skywright/xrpc'
import { atproto } from '@skywright/xrpc/lexicons'
import { readJsonReply } from '../proxy/read-json-reply.ts'
import type { ServiceProxy } from '../proxy/service-proxy.ts'
import type { Auth } from '../sessions/auth.ts'

const GENERATOR = 'app.bsky.feed.getFeedGenerator'
const SKELETON = 'app.bsky.feed.getFeedSkeleton'

/**
 * Passes a feed request on with a token for the feed's generator, which the AppView hands to it: so the
 * generator knows for whom it makes the feed. A token for the AppView would make every feed impersonal.
 */
export function getFeed(options: {
  readonly auth: Auth
  readonly proxy: ServiceProxy
}): XrpcMethod {
  const { auth, proxy } = options
  return defineMethod(atproto, 'app.bsky.feed.getFeed', {
    auth: auth.activeSession,
    async handler(call) {
      const { account } = call.auth
      const target = proxy.chooseTarget(call)
      if (target === undefined) {
        throw new XrpcError(501, 'MethodNotImplemented', 'this server has no AppView')
      }
      const { request, signal, params } = call
      const found = await proxy.forward(
        {
          nsid: GENERATOR,
          signal,
          request: {
            ...request,
            signal,
            headers: request.headers,
            method: 'GET',
            url: `/xrpc/${GENERATOR}?feed=${encodeURIComponent(params.feed)}`,
            body: null,
          },
        },
        target,
        account,
      )
      if (found.status !== 200) return found
      const { view } = (await readJsonReply(found)) as {
        readonly view?: { readonly did?: unknown }
      }
      if (typeof view?.did !== 'string') {
        throw new UpstreamFailureError('the AppView does not say who makes this feed')
      }
      return proxy.forward(call, target, account, { aud: view.did, lxm: SKELETON })
    },
  })
}
