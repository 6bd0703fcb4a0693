import { getPdsEndpoint, getSigningKey } from '../did-document-access.ts'
import type { EndpointOptions } from '../did-document-access.ts'
import type { DidDocument } from '../did-document.ts'
import type { PublicKey } from '../keys/key.ts'
import type { PublicKeyOptions } from '../keys/public-key.ts'
import type { Looked } from './cached-lookup.ts'
import type { DidResolution, ResolutionSource } from './identity-resolver.ts'

/** How a document is read. */
export type DidRecordOptions = EndpointOptions & PublicKeyOptions

/** A document and what is read from it, each once. */
export class DidRecord {
  readonly document: DidDocument
  readonly #options: DidRecordOptions
  #signingKey: PublicKey | undefined | null = null
  #pds: string | undefined | null = null

  constructor(document: DidDocument, options: DidRecordOptions) {
    this.document = document
    this.#options = options
  }

  get signingKey(): PublicKey | undefined {
    this.#signingKey =
      this.#signingKey === null ? getSigningKey(this.document, this.#options) : this.#signingKey
    return this.#signingKey
  }

  get pds(): string | undefined {
    this.#pds = this.#pds === null ? getPdsEndpoint(this.document, this.#options) : this.#pds
    return this.#pds
  }
}

/** A record as one caller gets it. */
export class CachedDidResolution implements DidResolution {
  readonly did: string
  readonly source: ResolutionSource
  readonly ageMs: number
  readonly #record: DidRecord

  constructor(did: string, { value, source, ageMs }: Looked<DidRecord>) {
    this.did = did
    this.source = source
    this.ageMs = ageMs
    this.#record = value
  }

  get document(): DidDocument {
    return this.#record.document
  }

  get signingKey(): PublicKey | undefined {
    return this.#record.signingKey
  }

  get pds(): string | undefined {
    return this.#record.pds
  }

  /** What is read on demand is printed too. */
  toJSON(): DidResolution {
    const { did, document, source, ageMs, pds, signingKey } = this
    return {
      did,
      document,
      ...(pds === undefined ? {} : { pds }),
      ...(signingKey === undefined ? {} : { signingKey }),
      source,
      ageMs,
    }
  }
}
