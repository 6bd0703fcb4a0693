import type { RelayStore } from '@skywright/firehose/relay'
import { defineMethod, reply, type XrpcMethod } from '@skywright/xrpc'
import { unavailableName } from '../unavailable-name.ts'
import { relayLexicons } from '../lexicons.ts'

/** Sends the caller to the repository's own host: a relay keeps no repositories. */
export function getRepo({ store }: { readonly store: RelayStore }): XrpcMethod {
  return defineMethod(relayLexicons, 'com.atproto.sync.getRepo', {
    handler: ({ params: { did, since }, error }) => {
      const account = store.getAccount(did)
      const unavailable = unavailableName(account)
      if (unavailable !== undefined)
        throw error(unavailable, `repository of ${did} is not available`)
      const host = account && store.getHost(account.hostname)
      if (host === undefined) throw error('RepoNotFound', `the host of ${did} is not known here`)
      const location = new URL('/xrpc/com.atproto.sync.getRepo', host.url)
      location.searchParams.set('did', did)
      if (since !== undefined) location.searchParams.set('since', since)
      return reply(undefined, { status: 302, headers: { location: location.href } })
    },
  })
}
