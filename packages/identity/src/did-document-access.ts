import type { DidDocument } from './did-document.ts'
import type { PublicKey } from './keys/key.ts'

/** The account's `#atproto` signing key, or `undefined` when the document has none that is usable. */
export declare function getSigningKey(document: DidDocument): PublicKey | undefined
/** The key with this fragment (`atproto`, `atproto_label`), or `undefined`. */
export declare function getVerificationKey(document: DidDocument, id: string): PublicKey | undefined
/** Origin of the account's PDS, or `undefined`. */
export declare function getPdsEndpoint(
  document: DidDocument,
  options?: EndpointOptions,
): string | undefined
/** Origin of the service with this fragment (`bsky_appview`, with or without `#`) and, if given, this type. */
export declare function getServiceEndpoint(
  document: DidDocument,
  id: string,
  type?: string,
  options?: EndpointOptions,
): string | undefined
/** The handle the document claims: its first syntactically valid `at://` alias, lower case. Not checked against DNS. */
export declare function getHandle(document: DidDocument): string | undefined

/** How endpoints are judged. */
export interface EndpointOptions {
  /**
   * Accept `http:` endpoints.
   * @defaultValue false
   */
  readonly allowHttp?: boolean
}

/** What {@link createServiceDidDocument} writes. */
export interface ServiceDidDocumentOptions {
  /** A did:web. */
  readonly did: string
  readonly services: readonly {
    readonly id: string
    readonly type: string
    readonly endpoint: string
  }[]
  /** Fragment → `did:key`. */
  readonly keys?: Readonly<Record<string, string>>
  readonly alsoKnownAs?: readonly string[]
}

/** The document a did:web service publishes at `/.well-known/did.json`. */
export declare function createServiceDidDocument(options: ServiceDidDocumentOptions): DidDocument
