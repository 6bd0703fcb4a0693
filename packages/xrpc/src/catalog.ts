import { compileMethod } from './compiled-method.ts'
import type { CompiledMethod } from './compiled-method.ts'
import { fromJson } from './data-model.ts'
import { InvalidLexiconError } from './errors.ts'
import type { RecordIds, RecordOf } from './infer.ts'
import type { LexiconDocument } from './lexicon-document.ts'
import { checkRules } from './lexicon-rules.ts'
import { LexiconStore } from './lexicon-store.ts'
import type { DocumentSource } from './lexicon-store.ts'
import { checkStrictly } from './strict-values.ts'
import { unwrapBlobs, validationFailure, wrapBlobs } from './validation.ts'

/** The registry type of a list of documents: NSID to document. */
export type RegistryOf<D extends readonly LexiconDocument[]> = {
  [Document in D[number] as Document['id']]: Document
}

/** Options of {@link LexiconCatalog.validateRecord}. */
export interface ValidateRecordOptions {
  /**
   * Takes blobs in the form of before 2023 (`{ cid, mimeType }`) where the lexicon expects a blob. Readers of old
   * records want this; nobody writes them.
   * @defaultValue false
   */
  readonly legacyBlobs?: boolean
  /**
   * Takes what `@atproto/lexicon` alone takes, as the hosts that people write to have for years: datetimes without a time
   * zone, CIDs of version 0, lists where the lexicon expects an object of any kind. Readers of records want this too.
   * @defaultValue false
   */
  readonly lenient?: boolean
}

/** Lexicon documents by NSID, and what they say about values. `R` is the registry the types come from. */
export interface LexiconCatalog<R = unknown> {
  /** Type information only; never set. */
  readonly registry?: R
  /** All NSIDs, sorted. */
  readonly ids: readonly string[]
  has(nsid: string): boolean
  /** The document as published. Do not write to it. */
  get(nsid: string): LexiconDocument | undefined
  /**
   * This catalog and more documents.
   * @throws {InvalidLexiconError} when a document is not one, or its NSID is taken
   */
  with<const D extends readonly LexiconDocument[]>(
    ...documents: D
  ): LexiconCatalog<R & RegistryOf<D>>
  /** What serving or calling a method needs, compiled once; `undefined` when the catalog has no such method. */
  method(nsid: string): CompiledMethod | undefined
  /** Whether the catalog has a record type of this name. */
  hasRecord(collection: string): boolean
  /**
   * Checks a record, given as data-model values or as parsed JSON, and returns it as data-model values with
   * defaults filled in. Fields the lexicon does not know stay.
   *
   * @throws {ValidationError} when it does not match the lexicon
   * @throws {InvalidDataError} when it is not a data-model value
   * @throws {InvalidLexiconError} when the catalog has no such record type; see {@link LexiconCatalog.hasRecord}
   */
  validateRecord<const N extends RecordIds<R>>(
    collection: N,
    record: unknown,
    options?: ValidateRecordOptions,
  ): RecordOf<R, N>
  validateRecord(
    collection: string,
    record: unknown,
    options?: ValidateRecordOptions,
  ): Record<string, unknown>
  /**
   * Checks a value against any object definition: `app.bsky.feed.defs#postView`.
   *
   * @throws what {@link LexiconCatalog.validateRecord} throws
   */
  validateObject(definition: string, value: unknown): Record<string, unknown>
}

/**
 * Makes a catalog of documents.
 *
 * @throws {InvalidLexiconError} when a document is not one, or two have the same NSID
 */
export function createCatalog<const D extends readonly LexiconDocument[]>(
  ...documents: D
): LexiconCatalog<RegistryOf<D>> {
  return typed<RegistryOf<D>>(new Catalog(new Map()).with(...documents))
}

/** Makes a catalog of documents that are JSON text and known to be good. Each is parsed on first use. */
export function createLazyCatalog<R>(
  ...sources: readonly Readonly<Record<string, string>>[]
): LexiconCatalog<R> {
  return typed<R>(new Catalog(new Map(sources.flatMap((source) => Object.entries(source)))))
}

/** The registry exists in types only, so that is where it is added. */
function typed<R>(catalog: Catalog): LexiconCatalog<R> {
  return catalog as unknown as LexiconCatalog<R>
}

class Catalog {
  readonly #sources: ReadonlyMap<string, DocumentSource>
  readonly #store: LexiconStore
  readonly #methods = new Map<string, CompiledMethod>()
  readonly #documents = new Map<string, LexiconDocument>()

  constructor(sources: ReadonlyMap<string, DocumentSource>) {
    this.#sources = sources
    this.#store = new LexiconStore(sources)
  }

  get ids(): readonly string[] {
    return [...this.#sources.keys()].toSorted()
  }

  has(nsid: string): boolean {
    return this.#sources.has(nsid)
  }

  get(nsid: string): LexiconDocument | undefined {
    const source = this.#sources.get(nsid)
    if (typeof source !== 'string') return source
    let document = this.#documents.get(nsid)
    if (document === undefined) {
      document = JSON.parse(source) as LexiconDocument
      this.#documents.set(nsid, document)
    }
    return document
  }

  with(...documents: readonly LexiconDocument[]): Catalog {
    const sources = new Map(this.#sources)
    for (const document of documents) {
      if (sources.has(document.id)) throw new InvalidLexiconError(document.id, 'already present')
      sources.set(document.id, document)
    }
    const catalog = new Catalog(sources)
    for (const { id } of documents) catalog.#store.get(id)
    for (const document of documents) checkRules(catalog.#store, document)
    return catalog
  }

  method(nsid: string): CompiledMethod | undefined {
    const known = this.#methods.get(nsid)
    if (known !== undefined || !this.#sources.has(nsid)) return known
    const method = compileMethod(this.#store, nsid)
    if (method !== undefined) this.#methods.set(nsid, method)
    return method
  }

  hasRecord(collection: string): boolean {
    return this.#sources.has(collection) && this.#store.getDef(collection)?.type === 'record'
  }

  validateRecord(
    collection: string,
    record: unknown,
    options: ValidateRecordOptions = {},
  ): Record<string, unknown> {
    if (!this.hasRecord(collection)) throw new InvalidLexiconError(collection, 'no such record')
    return validated(record, options.legacyBlobs ?? false, (value) => {
      const checked = this.#store.assertValidRecord(collection, value)
      if (options.lenient !== true)
        checkStrictly(this.#store, this.#store.getDef(collection), value, 'Record')
      return checked
    })
  }

  validateObject(definition: string, value: unknown): Record<string, unknown> {
    if (this.#store.getDef(definition)?.type !== 'object') {
      throw new InvalidLexiconError(definition, 'no such object')
    }
    return validated(value, false, (wrapped) => {
      const result = this.#store.validate(definition, wrapped)
      if (!result.success) throw result.error
      return result.value
    })
  }
}

function validated(
  value: unknown,
  legacyBlobs: boolean,
  validate: (value: unknown) => unknown,
): Record<string, unknown> {
  const data = fromJson(value)
  const wrapped = wrapBlobs(data, legacyBlobs)
  try {
    const result = validate(wrapped)
    return (wrapped === data ? result : unwrapBlobs(result)) as Record<string, unknown>
  } catch (cause) {
    throw validationFailure(cause)
  }
}
