import { InvalidCursorError, type Page, type PageOptions } from '@skywright/appview-indexer'
import type { AppIndex } from './collections.ts'

/** Words beyond these are not searched for. */
const MAX_WORDS = 10
const MAX_QUERY_LENGTH = 640

/** An account that fits a search. */
export interface FoundActor {
  readonly did: string
}

/**
 * Accounts whose handle starts with the query, then those whose profile contains every word of it (or starts one),
 * page by page.
 */
export function createActorSearch(
  index: AppIndex,
  text: string,
): (page: PageOptions & { readonly limit: number }) => Promise<Page<FoundActor>> {
  const query = text.slice(0, MAX_QUERY_LENGTH).trim().replace(/^@/u, '').toLowerCase()
  const prefix = /^[a-z0-9][a-z0-9.-]*$/.test(query) ? query : undefined
  const words = query
    .split(/[^\p{L}\p{N}]+/u)
    .filter((word) => word !== '')
    .slice(0, MAX_WORDS)

  async function byHandle(start: string, after: string, limit: number): Promise<Page<FoundActor>> {
    const rows = await index.sql<{ readonly did: string; readonly handle: string }>(
      `SELECT did, handle FROM ix_actor
       WHERE handle >= ? AND handle < ? AND handle > ? AND active = 1 ORDER BY handle LIMIT ?`,
      // No character of a handle sorts above the tilde.
      [start, `${start}~`, after, limit],
    )
    const last = rows.at(-1)
    const more = rows.length === limit && last !== undefined
    return { rows, cursor: more ? `${HANDLE_PHASE}${last.handle}` : PROFILE_PHASE }
  }

  async function byProfile(cursor: string | undefined, limit: number): Promise<Page<FoundActor>> {
    if (words.length === 0) return { rows: [] }
    const found = index.select('profile').search(words.map((word) => `${word}*`).join(' '))
    const page = await found.page({ limit, cursor })
    const actors =
      prefix === undefined ? undefined : await index.actors(page.rows.map((row) => row.did))
    // Those were found by their handle before.
    const rows = page.rows.filter(
      (row) => prefix === undefined || actors?.get(row.did)?.handle?.startsWith(prefix) !== true,
    )
    return {
      rows,
      ...(page.cursor === undefined ? {} : { cursor: `${PROFILE_PHASE}${page.cursor}` }),
    }
  }

  return async ({ limit, cursor }) => {
    if (cursor === undefined)
      return prefix === undefined ? byProfile(undefined, limit) : byHandle(prefix, '', limit)
    const rest = cursor.slice(HANDLE_PHASE.length)
    if (cursor.startsWith(HANDLE_PHASE) && prefix !== undefined && rest.startsWith(prefix))
      return byHandle(prefix, rest, limit)
    if (cursor.startsWith(PROFILE_PHASE)) return byProfile(rest === '' ? undefined : rest, limit)
    throw new InvalidCursorError('not of this search')
  }
}

const HANDLE_PHASE = 'h.'
const PROFILE_PHASE = 'p.'
