import { normalizeTag, normalizeUrl, searchTerm } from './search-terms.ts'

/** Words beyond these are not searched for. */
const MAX_WORDS = 50
/** Characters of a query that are read. */
const MAX_QUERY_LENGTH = 3_000

/** A search for posts, taken apart. Accounts are still as they were written: DIDs or handles. */
export interface PostQuery {
  /** For the full-text index: words, phrases and terms, all of which must occur. */
  readonly words: readonly string[]
  readonly author?: string
  readonly mentions: readonly string[]
  readonly since?: string
  readonly until?: string
}

/** The parameters of a search beside its text. */
export interface PostQueryFilters {
  readonly author?: string | undefined
  readonly mentions?: string | undefined
  readonly lang?: string | undefined
  readonly domain?: string | undefined
  readonly url?: string | undefined
  readonly since?: string | undefined
  readonly until?: string | undefined
  readonly tag?: readonly string[] | undefined
}

/**
 * Reads the search syntax of Bluesky: words, `"a phrase"`, `#tag`, `from:`, `mentions:`, `to:`, `lang:`,
 * `domain:`, `since:`, `until:`. Parameters of the same meaning win over the text.
 */
export function parsePostQuery(text: string, filters: PostQueryFilters = {}): PostQuery {
  const words: string[] = []
  const mentions: string[] = []
  const found: { author?: string; since?: string; until?: string } = {}
  const parts = text.slice(0, MAX_QUERY_LENGTH).match(/"[^"]*"|\S+/gu) ?? []
  for (const part of parts.slice(0, MAX_WORDS)) {
    const [, operator, value] =
      /^(from|to|mentions|lang|domain|since|until):(.+)$/u.exec(part) ?? []
    if (value === undefined) words.push(plainWord(part))
    else if (operator === 'from') found.author = withoutAt(value)
    else if (operator === 'to' || operator === 'mentions') mentions.push(withoutAt(value))
    else if (operator === 'lang') words.push(searchTerm('lang', value.toLowerCase()))
    else if (operator === 'domain') words.push(searchTerm('domain', value.toLowerCase()))
    else if (operator === 'since') found.since = value
    else found.until = value
  }
  for (const tag of filters.tag ?? []) words.push(searchTerm('tag', normalizeTag(tag)))
  if (filters.lang !== undefined) words.push(searchTerm('lang', filters.lang.toLowerCase()))
  if (filters.domain !== undefined) words.push(searchTerm('domain', filters.domain.toLowerCase()))
  if (filters.url !== undefined) words.push(searchTerm('url', normalizeUrl(filters.url)))
  if (filters.mentions !== undefined) mentions.push(filters.mentions)
  const author = filters.author ?? found.author
  const since = filters.since ?? found.since
  const until = filters.until ?? found.until
  return {
    words: words.filter((word) => word !== ''),
    mentions,
    ...(author === undefined ? {} : { author }),
    ...(since === undefined ? {} : { since }),
    ...(until === undefined ? {} : { until }),
  }
}

function plainWord(part: string): string {
  if (/^[#＃]./u.test(part)) return searchTerm('tag', normalizeTag(part))
  if (part.startsWith('"')) return part.length > 2 && part.endsWith('"') ? part : ''
  // Punctuation alone finds nothing; a lone quote is not a phrase.
  const word = part.replaceAll('"', '')
  return /[\p{L}\p{N}]/u.test(word) || /\p{Extended_Pictographic}/u.test(word) ? word : ''
}

function withoutAt(account: string): string {
  return account.replace(/^@/u, '')
}
