import { InvalidDidDocumentError } from './errors.ts'

/**
 * A DID document as it travels. Fields beyond these are kept untouched.
 * @see {@link https://atproto.com/specs/did#did-documents}
 */
export interface DidDocument {
  readonly '@context'?: string | readonly unknown[]
  readonly id: string
  readonly alsoKnownAs?: readonly string[]
  readonly verificationMethod?: readonly VerificationMethod[]
  readonly service?: readonly DidService[]
  readonly [key: string]: unknown
}

/** One entry of `verificationMethod`. */
export interface VerificationMethod {
  readonly id: string
  readonly type: string
  readonly controller: string
  readonly publicKeyMultibase?: string
  readonly [key: string]: unknown
}

/** One entry of `service`. The protocol reads only string endpoints. */
export interface DidService {
  readonly id: string
  readonly type: string
  readonly serviceEndpoint: unknown
  readonly [key: string]: unknown
}

/** Entries of a list in a DID document that are looked at; a document with more is refused. */
const MAX_ENTRIES = 1000
/** Lists and objects in one another; what is deeper could not be printed or copied without overflowing the stack. */
const MAX_DEPTH = 32

/** How strictly a document is read. */
export interface DidDocumentOptions {
  /**
   * Refuse a document in which a key and a service have one id: a reference to `did:…#id` could mean either. The
   * protocol's own ids do not clash, and the specification does not forbid it, so this is asked for.
   * @defaultValue false
   */
  readonly refuseSharedIds?: boolean
}

/**
 * Checks that a value from outside is the DID document of `did`. Entries of foreign methods and services are left as
 * they are; the accessors read only entries of the form the protocol asks for.
 * @throws {InvalidDidDocumentError} when it is not an object, is nested too deep, speaks about another DID, a list
 * is not a list, or (where that is asked for) a key and a service share an id
 */
export function parseDidDocument(
  value: unknown,
  did: string,
  options: DidDocumentOptions = {},
): DidDocument {
  if (!isRecord(value)) throw new InvalidDidDocumentError(did, 'not an object')
  if (value['id'] !== did)
    throw new InvalidDidDocumentError(did, 'id is not the DID that was asked for')
  if (isDeeperThan(MAX_DEPTH, value)) throw new InvalidDidDocumentError(did, 'nested too deep')
  checkList(did, value, 'alsoKnownAs', (entry) => typeof entry === 'string')
  checkList(did, value, 'verificationMethod', isRecord)
  checkList(did, value, 'service', isRecord)
  // Checked above: the shape that matters; the accessors check the fields of each entry they use.
  const document = value as unknown as DidDocument
  if (options.refuseSharedIds === true) checkSharedIds(document)
  return document
}

/** @throws {InvalidDidDocumentError} when a key and a service have one id, in either form of it */
export function checkSharedIds(document: DidDocument): void {
  const { id: did, verificationMethod = [], service = [] } = document
  const fragmentOf = ({ id }: { readonly id: unknown }): unknown =>
    typeof id === 'string' && id.startsWith(`${did}#`) ? id.slice(did.length) : id
  const keys = new Set(verificationMethod.map(fragmentOf))
  const shared = service.map(fragmentOf).find((id) => typeof id === 'string' && keys.has(id))
  if (shared !== undefined) {
    throw new InvalidDidDocumentError(did, 'a key and a service have the same id')
  }
}

function checkList(
  did: string,
  document: Readonly<Record<string, unknown>>,
  field: string,
  isEntry: (entry: unknown) => boolean,
): void {
  const list = document[field]
  if (list === undefined) return
  if (!Array.isArray(list)) throw new InvalidDidDocumentError(did, `${field} is not a list`)
  if (list.length > MAX_ENTRIES) throw new InvalidDidDocumentError(did, `${field} is too long`)
  if (!list.every(isEntry)) throw new InvalidDidDocumentError(did, `${field} holds a foreign value`)
}

function isDeeperThan(depth: number, value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  return depth === 0 || Object.values(value).some((entry) => isDeeperThan(depth - 1, entry))
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
