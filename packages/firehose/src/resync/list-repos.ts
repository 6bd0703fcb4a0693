import { FetchFailedError } from '../errors.ts'
import { isDid } from '../verify/check-event.ts'
import { query, readJson, type FetchLike } from './request.ts'

/** Largest page of names read, in bytes. */
const MAX_PAGE_BYTES = 4_000_000
const DEFAULT_TIMEOUT_MS = 30_000
const LIST_REPOS_LIMIT = 1_000
const BY_COLLECTION_LIMIT = 2_000

export interface ListReposOptions {
  /** Base URL of a PDS or relay. */
  readonly service: string
  /** Only repositories with records in this collection, where the service can tell. */
  readonly collection?: string | undefined
  /** Where to continue: a cursor from {@link ListedPage}. */
  readonly cursor?: string | undefined
  readonly fetch?: FetchLike | undefined
  /** @defaultValue 30 seconds a page */
  readonly timeoutMs?: number | undefined
  readonly signal?: AbortSignal | undefined
}

/** One page of account names. Store `cursor` once the page was dealt with: that is where to continue after a crash. */
export interface ListedPage {
  readonly dids: readonly string[]
  readonly cursor: string | undefined
}

/**
 * Names of the repositories of a service, page by page. Accounts that the service calls inactive are left out. Each loop
 * over it asks anew, from `cursor` on.
 *
 * A loop throws {@link FetchFailedError} when the service does not answer as it should.
 */
export function listRepos(options: ListReposOptions): AsyncIterable<ListedPage> {
  return { [Symbol.asyncIterator]: () => readPages(options) }
}

async function* readPages(options: ListReposOptions): AsyncGenerator<ListedPage, void, void> {
  const {
    service,
    collection,
    fetch = (url, init) => globalThis.fetch(url, init),
    timeoutMs = DEFAULT_TIMEOUT_MS,
    signal = new AbortController().signal,
  } = options
  const { host } = new URL(service)
  const nsid =
    collection === undefined
      ? 'com.atproto.sync.listRepos'
      : 'com.atproto.sync.listReposByCollection'
  let { cursor } = options
  for (;;) {
    const limit = collection === undefined ? LIST_REPOS_LIMIT : BY_COLLECTION_LIMIT
    const response = await query(
      service,
      nsid,
      {
        limit: String(limit),
        ...(collection === undefined ? {} : { collection }),
        ...(cursor === undefined ? {} : { cursor }),
      },
      { fetch, signal, timeoutMs },
    )
    if ('error' in response) throw new FetchFailedError(host, response.error, response)
    const page = await readJson(response, host, MAX_PAGE_BYTES)
    const { repos, cursor: next } = page
    if (!Array.isArray(repos)) throw new FetchFailedError(host, 'answer without repos')
    const dids = repos.flatMap((repo: unknown) => activeDid(repo))
    if (next === cursor && next !== undefined)
      throw new FetchFailedError(host, 'cursor stands still')
    cursor = typeof next === 'string' && next !== '' ? next : undefined
    yield { dids, cursor }
    if (cursor === undefined) return
  }
}

function activeDid(repo: unknown): string[] {
  if (repo === null || typeof repo !== 'object' || !('did' in repo)) return []
  if ('active' in repo && repo.active === false) return []
  return typeof repo.did === 'string' && isDid(repo.did) ? [repo.did] : []
}
