/** A lexicon document, as published. */
export interface LexiconDocument {
  readonly lexicon: 1
  readonly id: string
  readonly defs: Readonly<Record<string, object>>
}

/** Gives a document its literal type, which is what all inference starts from. */
export function lexicon<const D extends LexiconDocument>(document: D): D {
  return document
}
