/** Words of one record that can be found, the first ones: Postgres keeps 16,383 positions. */
const MAX_WORDS = 16_000
/** Longest word kept whole, in characters. */
const MAX_WORD_LENGTH = 255
/** Characters of words kept: a tsvector may hold 1 MiB. */
const MAX_CHARACTERS = 250_000

const WORD = /[\p{L}\p{N}\p{Co}]+/gu

/** The words of a text, folded as SQLite's `unicode61 remove_diacritics 2` does: both stores find the same. */
export function searchWords(text: string): string[] {
  const folded = text.normalize('NFD').replaceAll(/\p{M}/gu, '').toLowerCase()
  return (folded.match(WORD) ?? []).map((word) => word.slice(0, MAX_WORD_LENGTH))
}

/** Text of a `tsvector` with positions. Words hold letters and digits only, so nothing needs escaping. */
export function searchVector(texts: readonly string[]): string {
  const parts: string[] = []
  let position = 0
  let characters = 0
  for (const text of texts) {
    for (const word of searchWords(text)) {
      characters += word.length
      if (++position > MAX_WORDS || characters > MAX_CHARACTERS) return parts.join(' ')
      parts.push(`'${word}':${position}`)
    }
    // A phrase does not run from one column into the next.
    position += 1
  }
  return parts.join(' ')
}
