import { serveEvents, type EventLog } from '@skywright/firehose'
import { defineMethod, type XrpcMethod } from '@skywright/xrpc'
import { relayLexicons } from '../lexicons.ts'

/** The merged firehose, as the router knows it: what answers a call that is no WebSocket. See `streams.ts`. */
export function subscribeRepos({ log }: { readonly log: EventLog }): XrpcMethod {
  return defineMethod(relayLexicons, 'com.atproto.sync.subscribeRepos', {
    handler: ({ params: { cursor }, signal }) => serveEvents(log, { cursor, signal }),
  })
}
