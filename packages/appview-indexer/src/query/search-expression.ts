import { InvalidQueryError } from '../errors.ts'
import type { SqlDialect } from '../stores/port.ts'
import { searchWords } from '../search-words.ts'

/** Longest search text, in characters. */
export const MAX_SEARCH_LENGTH = 1_000
/** Most words of one search. */
const MAX_TERMS = 32

interface Term {
  readonly text: string
  readonly prefix: boolean
}

/**
 * A search as the store's full-text engine understands it: every word must occur, `"a phrase"` in order, `prefix*` as a
 * beginning. Everything else a user types is a word, never an operator. Empty when there is no word in it.
 *
 * @throws {InvalidQueryError} when it is too long
 */
export function searchExpression(words: string, dialect: SqlDialect): string {
  if (words.length > MAX_SEARCH_LENGTH)
    throw new InvalidQueryError(`search longer than ${MAX_SEARCH_LENGTH} characters`)
  const terms: Term[] = []
  for (const [, phrase, word] of words.matchAll(/"([^"]*)"|([^\s"]+)/g)) {
    const text = phrase ?? word ?? ''
    // A term without a letter or digit has no token: it would match nothing at all.
    if (!/[\p{L}\p{N}]/u.test(text)) continue
    terms.push({ text, prefix: phrase === undefined && text.endsWith('*') })
    if (terms.length >= MAX_TERMS) break
  }
  return dialect === 'sqlite'
    ? terms.map(fts5Term).join(' AND ')
    : terms.map(tsqueryTerm).join(' & ')
}

function fts5Term({ text, prefix }: Term): string {
  return `"${text.replaceAll('"', '').replaceAll('\u0000', '')}"${prefix ? '*' : ''}`
}

/** Words hold letters and digits only, so nothing needs escaping. */
function tsqueryTerm({ text, prefix }: Term): string {
  const words = searchWords(text.replaceAll('\u0000', ''))
  const parts = words.map((word, at) => `'${word}'${prefix && at === words.length - 1 ? ':*' : ''}`)
  return `(${parts.join(' <-> ')})`
}
