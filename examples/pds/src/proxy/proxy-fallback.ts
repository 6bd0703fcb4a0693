import { ForbiddenError, isProtectedMethod, type FallbackHandler } from '@skywright/xrpc'
import type { Auth } from '../sessions/auth.ts'
import { mayCall } from '../sessions/scope.ts'
import type { ServiceProxy } from './service-proxy.ts'

/** Serves every method this server does not have by passing it on, for active accounts. */
export function createProxyFallback(options: {
  readonly auth: Auth
  readonly proxy: ServiceProxy
}): FallbackHandler {
  const { auth, proxy } = options
  return async (call) => {
    const { nsid, request } = call
    if (request.method !== 'GET' && request.method !== 'HEAD' && request.method !== 'POST')
      return undefined
    const hasHeader = request.headers.get('atproto-proxy') !== null
    if (!hasHeader && !nsid.startsWith('app.bsky.')) return undefined
    if (isProtectedMethod(nsid))
      throw new ForbiddenError(`cannot proxy a protected method: ${nsid}`)
    const { account, scope } = await auth.activeSession(call)
    if (!mayCall(scope, nsid)) throw new ForbiddenError(`an app password cannot call ${nsid}`)
    const target = proxy.chooseTarget(call)
    return target === undefined ? undefined : proxy.forward(call, target, account)
  }
}
