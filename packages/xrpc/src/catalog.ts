import type { RecordIds, RecordOf } from './infer.ts'

/** A lexicon document, as published. */
export interface LexiconDocument {
  readonly lexicon: 1
  readonly id: string
  readonly revision?: number
  readonly description?: string
  readonly defs: Readonly<Record<string, object>>
}

/** The registry type of a list of documents: NSID to document. */
export type RegistryOf<D extends readonly LexiconDocument[]> = {
  [Document in D[number] as Document['id']]: Document
}

/** Lexicon documents by NSID, and what they say about values. `R` is the registry the types come from. */
export interface LexiconCatalog<R = unknown> {
  /** Type information only; never set. */
  readonly registry?: R
  /** All NSIDs, sorted. */
  readonly ids: readonly string[]
  get(nsid: string): LexiconDocument | undefined
  /** This catalog and more documents. */
  with<const D extends readonly LexiconDocument[]>(
    ...documents: D
  ): LexiconCatalog<R & RegistryOf<D>>
  /**
   * Checks a record of data-model values, returning it with defaults filled in.
   *
   * @throws {ValidationError} when it does not match; {@link InvalidLexiconError} when `collection` is unknown
   */
  validateRecord<const N extends RecordIds<R>>(collection: N, record: unknown): RecordOf<R, N>
  validateRecord(collection: string, record: unknown): Readonly<Record<string, unknown>>
}

/** Gives a document its literal type. */
export function lexicon<const D extends LexiconDocument>(document: D): D {
  return document
}

/** Makes a catalog of documents. */
export declare function createCatalog<const D extends readonly LexiconDocument[]>(
  ...documents: D
): LexiconCatalog<RegistryOf<D>>
