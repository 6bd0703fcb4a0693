import { isDid } from '../target.ts'

/** A repo as a host lists it; `rev` is absent where the listing does not say (by collection). */
export interface ListedRepo {
  readonly did: string
  readonly rev?: string
}

/** Options of {@link listRepos}. */
export interface ListReposOptions {
  /** Base URL of a relay or PDS. */
  readonly service: string
  /** Only repos that hold records of this collection (`listReposByCollection`). @defaultValue all repos */
  readonly collection?: string
  /** @defaultValue globalThis.fetch */
  readonly fetch?: typeof globalThis.fetch
  /** Longest time for one page, in milliseconds. @defaultValue 1 minute */
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
}

const PAGE = 1_000
/** 1,000 repos of 200 bytes, with room. */
const MAX_PAGE_BYTES = 4_000_000
const DEFAULT_TIMEOUT_MS = 60_000
/** Pages in a row that list nobody. */
const MAX_EMPTY_PAGES = 100
/** Longest cursor, in characters: all of them are remembered. */
const MAX_CURSOR_LENGTH = 1_000

/**
 * Every repo a host knows, for `backfill({ repos: listRepos(…) })`. Ends when the host ends it or stops making progress.
 *
 * @throws {TypeError} when the host answers with something else or for ever with nothing; what was listed until then stands
 */
export async function* listRepos(
  options: ListReposOptions,
): AsyncGenerator<ListedRepo, void, void> {
  const { service, collection, fetch = globalThis.fetch, signal } = options
  const { timeoutMs = DEFAULT_TIMEOUT_MS } = options
  const method =
    collection === undefined
      ? 'com.atproto.sync.listRepos'
      : 'com.atproto.sync.listReposByCollection'
  const seen = new Set<string>()
  let empty = 0
  for (let cursor: string | undefined; ;) {
    const url = new URL(`/xrpc/${method}`, service)
    url.searchParams.set('limit', String(PAGE))
    if (collection !== undefined) url.searchParams.set('collection', collection)
    if (cursor !== undefined) url.searchParams.set('cursor', cursor)
    const timeout = AbortSignal.timeout(timeoutMs)
    const response = await fetch(url, {
      signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
    })
    if (!response.ok) throw new TypeError(`${method} failed; status=${response.status}`)
    const page = parsePage(await readBounded(response), method)
    yield* page.repos
    empty = page.repos.length === 0 ? empty + 1 : 0
    if (empty > MAX_EMPTY_PAGES || (page.cursor?.length ?? 0) > MAX_CURSOR_LENGTH)
      throw new TypeError(`${method} does not come to an end`)
    if (page.cursor === undefined || seen.has(page.cursor)) return
    seen.add(page.cursor)
    cursor = page.cursor
  }
}

function parsePage(text: string, method: string): { repos: ListedRepo[]; cursor?: string } {
  const body: unknown = JSON.parse(text)
  if (typeof body !== 'object' || body === null || !('repos' in body) || !Array.isArray(body.repos))
    throw new TypeError(`${method} answered without repos`)
  const repos = body.repos.flatMap((item: unknown): ListedRepo[] => {
    if (typeof item !== 'object' || item === null || !('did' in item)) return []
    if (typeof item.did !== 'string' || !isDid(item.did)) return []
    const rev = 'rev' in item && typeof item.rev === 'string' ? { rev: item.rev } : {}
    return [{ did: item.did, ...rev }]
  })
  const cursor = 'cursor' in body && typeof body.cursor === 'string' ? body.cursor : ''
  return cursor === '' ? { repos } : { repos, cursor }
}

async function readBounded(response: Response): Promise<string> {
  const decoder = new TextDecoder()
  let text = ''
  for await (const chunk of response.body ?? []) {
    text += decoder.decode(chunk, { stream: true })
    if (text.length > MAX_PAGE_BYTES) throw new TypeError('listing page too large')
  }
  return text
}
