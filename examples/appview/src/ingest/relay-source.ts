import type { EventSource, IndexEvent } from '@skywright/appview-indexer'
import {
  createEventVerifier,
  createIdentitySource,
  createMemoryChainStore,
  type FirehoseIssue,
  type StreamEvent,
  subscribeRepos,
} from '@skywright/firehose'
import { createOpenWebSocket } from '@skywright/firehose/ws'
import type { IdentityResolver } from '@skywright/identity'
import { createLookAhead } from './look-ahead.ts'

export interface RelaySourceOptions {
  /** Base URL of the relay or PDS; also the name under which the cursor is kept. */
  readonly service: string
  readonly resolver: IdentityResolver
  /** Accept `http:` PDS endpoints in DID documents. */
  readonly dev: boolean
  readonly onIssue: (issue: FirehoseIssue) => void
  /** Each time the stream is connected. */
  readonly onOpen: () => void
}

/**
 * The firehose of a relay as a source of the indexer: every commit proven by signature and MST inversion, everything
 * in `seq` order, so that the cursor of a batch covers all events below it.
 *
 * A commit that does not follow what was seen before is passed on for what it is: the indexer compares its `since` with
 * the revision it holds, and queues the repository for a fetch in the transaction that moves the cursor. Dropping it
 * here would lose that duty in a crash. Chain state is therefore kept in memory only.
 */
export function createRelaySource(options: RelaySourceOptions): EventSource {
  const { service, resolver, dev, onIssue, onOpen } = options
  return {
    name: service,
    async *events({ cursor, signal }) {
      const identity = createIdentitySource(resolver, { allowHttp: dev })
      const verify = createEventVerifier({
        identity,
        chain: createMemoryChainStore(),
        policy: 'relay',
      })
      const stream = subscribeRepos({
        service,
        cursor,
        verify,
        onIssue,
        signal,
        open: createLookAhead(createOpenWebSocket({ onOpen }), identity),
        concurrency: 1,
      })
      for await (const event of stream) yield indexEvent(event)
    },
  }
}

/** What the indexer needs of an event. */
function indexEvent(event: StreamEvent): IndexEvent {
  const { seq, did } = event
  switch (event.type) {
    case 'commit': {
      // The ops of a commit on an unexpected tree are not all that changed.
      if (event.discontinuity !== undefined && event.discontinuity !== 'unknown-repo')
        return { type: 'sync', seq, did, rev: event.rev }
      return {
        type: 'commit',
        seq,
        did,
        rev: event.rev,
        ...(event.since === undefined ? {} : { since: event.since }),
        ops: event.ops.map(({ action, collection, rkey, cid, record }) => ({
          action,
          collection,
          rkey,
          ...(cid === null ? {} : { cid: cid.bytes }),
          ...(record === undefined ? {} : { record }),
        })),
      }
    }
    case 'sync':
      return { type: 'sync', seq, did, rev: event.rev }
    case 'identity':
      // The handle of the event is only a hint; without one the indexer has it looked up.
      return { type: 'identity', seq, did }
    case 'account':
      return {
        type: 'account',
        seq,
        did,
        active: event.active,
        ...(event.status === undefined ? {} : { status: event.status }),
      }
  }
}
