import type { FirehoseIssue, OpenStream } from '@skywright/firehose'
import type { IdentityResolver } from '@skywright/identity'

import type { EventSource } from '../event.ts'
import type { Declarations } from '../collection.ts'
import type { IndexerOptions } from '../indexer.ts'
import { firehoseSource } from './firehose-source.ts'
import type { FirehoseSourceOptions } from './firehose-source.ts'
import { listRepos } from './list-repos.ts'
import type { ListedRepo, ListReposOptions } from './list-repos.ts'
import { createRepoFetcher } from './repo-fetcher.ts'

/** Options of {@link createRelay}. */
export interface RelayOptions {
  /** Base URL of a relay, or of a single PDS; of several relays of one network the first lists, see {@link firehoseSource}. */
  readonly service: FirehoseSourceOptions['service']
  /** Finds keys, PDSes and handles; share one with everything else that resolves identities. */
  readonly resolver: IdentityResolver
  /**
   * Fetches repos from PDSes that strangers chose: `createSafeFetch` of `@skywright/identity/node`.
   * @defaultValue https on public hosts alone
   */
  readonly fetch?: typeof globalThis.fetch
  /** Asks the relay itself, which is the operator's choice. @defaultValue globalThis.fetch */
  readonly relayFetch?: typeof globalThis.fetch
  /** Told of everything that was received and is not an event. */
  readonly onIssue: (issue: FirehoseIssue) => void
  /** How sockets are opened. @defaultValue the platform's `WebSocket` */
  readonly open?: OpenStream
  /** Accept `http:` PDS endpoints in DID documents, for networks on one machine. @defaultValue false */
  readonly allowHttp?: boolean
  /** Unix milliseconds. @defaultValue Date.now */
  readonly now?: () => number
}

/** A network as an indexer sees it: what it is opened with, and the source it runs. */
export interface Relay extends Required<
  Pick<IndexerOptions<Declarations>, 'fetchRepo' | 'listRepos' | 'resolveHandle'>
> {
  readonly source: EventSource
}

/** Collections that are asked for one by one; of an index of more, every repo of the relay is fetched. */
const MAX_LISTED_COLLECTIONS = 8

/**
 * All that an index needs of a network, over one relay and the PDSes behind it, everything proven: spread it into the options
 * of `openIndexer`, then `run` its `source`. Repos that hold one of the declared collections are listed by collection.
 */
export function createRelay(options: RelayOptions): Relay {
  const { service, resolver, fetch, relayFetch, onIssue, open, allowHttp, now } = options
  return {
    fetchRepo: createRepoFetcher(fetch === undefined ? { resolver } : { resolver, fetch }),
    listRepos: ({ signal, collections }) => {
      const first = typeof service === 'string' ? service : service[0]
      const asked = { service: first, signal, fetch: relayFetch ?? globalThis.fetch }
      return listHolders(asked, collections)
    },
    resolveHandle: async (did, { signal }) => {
      const { handle, handleError } = await resolver.resolveIdentity(did, { signal })
      return handleError === undefined ? handle : null
    },
    source: firehoseSource({
      service,
      resolver,
      onIssue,
      ...(open === undefined ? {} : { open }),
      ...(allowHttp === undefined ? {} : { allowHttp }),
      ...(now === undefined ? {} : { now }),
    }),
  }
}

async function* listHolders(
  relay: ListReposOptions,
  collections: readonly string[],
): AsyncGenerator<ListedRepo, void, void> {
  if (collections.length > MAX_LISTED_COLLECTIONS) return yield* listRepos(relay)
  for (const collection of collections) yield* listRepos({ ...relay, collection })
}
