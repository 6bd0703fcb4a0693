import { setTimeout as delay } from 'node:timers/promises'
import { createClient } from '@skywright/xrpc'
import { atproto } from '@skywright/xrpc/lexicons'
import type { AppIndex } from '../collections.ts'

const PAGE_SIZE = 1_000
const FIRST_RETRY_MS = 500
const MAX_RETRY_MS = 60_000
/** Failures in a row after which the listing is given up; the next one starts over. */
const MAX_ATTEMPTS = 10

/** Which of the repositories of a relay are wanted: those not indexed, or also those indexed at an older revision. */
export type WantedRepos = 'unknown' | 'behind'

export interface ListReposOptions {
  readonly service: string
  readonly index: AppIndex
  readonly wanted: () => WantedRepos
  readonly fetch: typeof globalThis.fetch
  readonly signal: AbortSignal
}

/** DIDs that the relay hosts and the index lacks. Inactive accounts are listed too: fetching tells their status. */
export async function* listWantedRepos(
  options: ListReposOptions,
): AsyncGenerator<string, void, void> {
  const { service, index, wanted, fetch, signal } = options
  const client = createClient({
    service,
    lexicons: atproto,
    fetch: (url, init) => fetch(url, init),
  })
  let cursor: string | undefined
  let attempt = 0
  for (;;) {
    signal.throwIfAborted()
    const params = { limit: PAGE_SIZE, ...(cursor === undefined ? {} : { cursor }) }
    let page
    try {
      page = await client.query('com.atproto.sync.listRepos', params, { signal })
      attempt = 0
    } catch (error) {
      signal.throwIfAborted()
      if (++attempt >= MAX_ATTEMPTS) throw error
      await delay(Math.min(FIRST_RETRY_MS * 2 ** attempt, MAX_RETRY_MS), undefined, { signal })
      continue
    }
    const known = await index.actors(page.repos.map((repo) => repo.did))
    for (const { did, rev } of page.repos) {
      const indexed = known.get(did)?.rev
      if (indexed === undefined || (wanted() === 'behind' && indexed < rev)) yield did
    }
    // A listing that does not move would never end.
    if (page.cursor === undefined || page.cursor === cursor) return
    cursor = page.cursor
  }
}
