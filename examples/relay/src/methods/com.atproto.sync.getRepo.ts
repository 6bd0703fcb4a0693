import type { RelayStore } from '@skywright/firehose/relay'
import { defineMethod, reply, type XrpcMethod } from '@skywright/xrpc'
import type { ExportPacer } from '../export-pacer.ts'
import { unavailableName } from '../unavailable-name.ts'
import { relayLexicons } from '../lexicons.ts'

/**
 * Sends the caller to the repository's own host: a relay keeps no repositories.
 *
 * So that many who want the same repository at once do not all arrive there at once, the answer says when to go:
 * `Retry-After` on a redirect is the least time to wait before following it. The first caller finds none, each further
 * one another second; who does not know it just follows. The answer is each caller's own and not to be cached, while the
 * place it names is the same text for the same question: a cache in front of the host may answer all of them with one
 * export.
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3}
 */
export function getRepo({
  store,
  exports,
}: {
  readonly store: RelayStore
  readonly exports: ExportPacer
}): XrpcMethod {
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
      const seconds = exports.take(did)
      return reply(undefined, {
        status: 302,
        headers: {
          location: location.href,
          'cache-control': 'no-store',
          ...(seconds === 0 ? {} : { 'retry-after': String(seconds) }),
        },
      })
    },
  })
}
