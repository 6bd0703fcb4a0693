import { InvalidQueryError } from '../errors.ts'

/** Longest search text, in characters. */
export const MAX_SEARCH_LENGTH = 1_000
/** Most words of one search. */
const MAX_TERMS = 32

/**
 * A search as FTS5 understands it: every word must occur, `"a phrase"` in order, `prefix*` as a beginning.
 * Everything else a user types is a word, never an operator. Empty when there is no word in it.
 *
 * @throws {InvalidQueryError} when it is too long
 */
export function searchExpression(words: string): string {
  if (words.length > MAX_SEARCH_LENGTH)
    throw new InvalidQueryError(`search longer than ${MAX_SEARCH_LENGTH} characters`)
  const terms: string[] = []
  for (const [, phrase, word] of words.matchAll(/"([^"]*)"|([^\s"]+)/g)) {
    const text = phrase ?? word ?? ''
    // A term without a letter or digit has no token: FTS5 would match nothing at all.
    if (!/[\p{L}\p{N}]/u.test(text)) continue
    const prefix = phrase === undefined && text.endsWith('*')
    terms.push(`"${text.replaceAll('"', '').replaceAll('\u0000', '')}"${prefix ? '*' : ''}`)
    if (terms.length >= MAX_TERMS) break
  }
  return terms.join(' AND ')
}
