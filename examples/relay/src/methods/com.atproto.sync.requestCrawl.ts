import { defineMethod, type XrpcMethod } from '@skywright/xrpc'
import type { Admission } from '../admission.ts'
import { relayLexicons } from '../lexicons.ts'

/** A host asks to be followed. Answers once the host was found alive and is being connected to. */
export function requestCrawl({ admission }: { readonly admission: Admission }): XrpcMethod {
  return defineMethod(relayLexicons, 'com.atproto.sync.requestCrawl', {
    handler: async ({ input, request }) => {
      await admission.request(input.hostname, { caller: request.ip ?? 'unknown' })
      return undefined
    },
  })
}
