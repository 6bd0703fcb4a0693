import { isValidHandle } from '@atproto/syntax'
import { base58btc } from 'multiformats/bases/base58'
import type { DidDocument, DidService, VerificationMethod } from './did-document.ts'
import { parseDid } from './did.ts'
import { InvalidDidDocumentError } from './errors.ts'
import type { Curve, PublicKey } from './keys/key.ts'
import { MAX_MULTIKEY_CHARS, multibaseOf } from './keys/multikey.ts'
import { parsePublicKey, publicKeyFromBytes } from './keys/public-key.ts'
import type { PublicKeyOptions } from './keys/public-key.ts'

/** How endpoints are judged. */
export interface EndpointOptions {
  /**
   * Accept `http:` endpoints (development).
   * @defaultValue false
   */
  readonly allowHttp?: boolean
}

/** Types of verification methods from before Multikey; their keys have no multicodec. Read, never written. */
const LEGACY_KEY_TYPES: Readonly<Record<string, Curve>> = {
  EcdsaSecp256k1VerificationKey2019: 'k256',
  EcdsaSecp256r1VerificationKey2019: 'p256',
}

/** The account's `#atproto` signing key, or `undefined` when the document has none that is usable. */
export function getSigningKey(
  document: DidDocument,
  options: PublicKeyOptions = {},
): PublicKey | undefined {
  return getVerificationKey(document, 'atproto', options)
}

/** The key a labeler signs labels with (`#atproto_label`), or `undefined`. */
export function getLabelKey(document: DidDocument): PublicKey | undefined {
  return getVerificationKey(document, 'atproto_label')
}

/**
 * The key with this fragment (`atproto`, `#atproto_label`), or `undefined`. The first entry with that id decides: its
 * controller must be this DID, its type Multikey (or one of the two legacy types) and its key readable.
 * @see {@link https://atproto.com/specs/did#public-keys-and-signing}
 */
export function getVerificationKey(
  document: DidDocument,
  id: string,
  options: PublicKeyOptions = {},
): PublicKey | undefined {
  const method = findById(document, document.verificationMethod, id)
  if (method === undefined || method.controller !== document.id) return undefined
  return readKey(method, options)
}

/** Origin of the account's PDS (`#atproto_pds`), or `undefined`. */
export function getPdsEndpoint(
  document: DidDocument,
  options: EndpointOptions = {},
): string | undefined {
  return getServiceEndpoint(document, 'atproto_pds', 'AtprotoPersonalDataServer', options)
}

/** Origin of the account's labeler (`#atproto_labeler`), or `undefined`. */
export function getLabelerEndpoint(
  document: DidDocument,
  options: EndpointOptions = {},
): string | undefined {
  return getServiceEndpoint(document, 'atproto_labeler', 'AtprotoLabeler', options)
}

/** Origin of the feed generator (`#bsky_fg`), or `undefined`. */
export function getFeedGeneratorEndpoint(
  document: DidDocument,
  options: EndpointOptions = {},
): string | undefined {
  return getServiceEndpoint(document, 'bsky_fg', 'BskyFeedGenerator', options)
}

/** Origin of the AppView (`#bsky_appview`), or `undefined`. */
export function getAppViewEndpoint(
  document: DidDocument,
  options: EndpointOptions = {},
): string | undefined {
  return getServiceEndpoint(document, 'bsky_appview', 'BskyAppView', options)
}

/**
 * Origin of the service with this fragment (`bsky_appview`, with or without `#`), or `undefined`. The first entry with
 * that id decides; when `type` is given it must match. The endpoint must be an https origin: no user, path, query or
 * fragment.
 * @see {@link https://atproto.com/specs/did#service-endpoints}
 */
export function getServiceEndpoint(
  document: DidDocument,
  id: string,
  type?: string,
  options: EndpointOptions = {},
): string | undefined {
  const service = findById(document, document.service, id)
  if (service === undefined || (type !== undefined && service.type !== type)) return undefined
  return readEndpoint(service, options)
}

/**
 * The handle the document claims, in lower case: its first syntactically valid `at://` alias. A claim only: whether
 * the handle leads back here is for the resolver to find out.
 */
export function getHandle(document: DidDocument): string | undefined {
  for (const alias of document.alsoKnownAs ?? []) {
    if (!alias.startsWith('at://')) continue
    const handle = alias.slice('at://'.length)
    if (isValidHandle(handle)) return handle.toLowerCase()
  }
  return undefined
}

/** What {@link createServiceDidDocument} writes. */
export interface ServiceDidDocumentOptions {
  /** A did:web (or any DID you publish the document for). */
  readonly did: string
  /** In the order given. `id` without `#`, `endpoint` an origin. */
  readonly services: readonly {
    readonly id: string
    readonly type: string
    readonly endpoint: string
  }[]
  /** Fragment → `did:key`. */
  readonly keys?: Readonly<Record<string, string>>
  readonly alsoKnownAs?: readonly string[]
}

/**
 * The document a did:web service publishes at `/.well-known/did.json`.
 * @throws {InvalidSyntaxError} when `did` is not a DID
 * @throws {InvalidKeyError} when a key is not a k256 or p256 did:key
 * @throws {InvalidDidDocumentError} when an endpoint is not an http(s) origin
 */
export function createServiceDidDocument(options: ServiceDidDocumentOptions): DidDocument {
  const { did } = parseDid(options.did, { dev: true })
  const keys = Object.entries(options.keys ?? {}).map(([id, key]) => ({
    id,
    key: parsePublicKey(key),
  }))
  const contexts = new Set([
    'https://www.w3.org/ns/did/v1',
    ...(keys.length > 0 ? ['https://w3id.org/security/multikey/v1'] : []),
    ...keys.map(({ key }) => contextOfCurve(key.curve)),
  ])
  const service = options.services.map(({ id, type, endpoint }) => {
    const serviceEndpoint = readOrigin(endpoint, true)
    if (serviceEndpoint === undefined) {
      throw new InvalidDidDocumentError(did, 'service endpoint is not an http(s) origin')
    }
    return { id: `#${id}`, type, serviceEndpoint }
  })
  return {
    '@context': [...contexts],
    id: did,
    ...(options.alsoKnownAs === undefined ? {} : { alsoKnownAs: options.alsoKnownAs }),
    ...(keys.length === 0
      ? {}
      : {
          verificationMethod: keys.map(({ id, key }) => ({
            id: `${did}#${id}`,
            type: 'Multikey',
            controller: did,
            publicKeyMultibase: key.multibase,
          })),
        }),
    service,
  }
}

/** The JSON-LD context that names a curve. */
export function contextOfCurve(curve: Curve): string {
  return curve === 'k256'
    ? 'https://w3id.org/security/suites/secp256k1-2019/v1'
    : 'https://w3id.org/security/suites/ecdsa-2019/v1'
}

function findById<T extends VerificationMethod | DidService>(
  document: DidDocument,
  entries: readonly T[] | undefined,
  id: string,
): T | undefined {
  const fragment = id.startsWith('#') ? id : `#${id}`
  return entries?.find((entry) => entry.id === fragment || entry.id === document.id + fragment)
}

function readKey(method: VerificationMethod, options: PublicKeyOptions): PublicKey | undefined {
  const multibase: unknown = method.publicKeyMultibase
  if (typeof multibase !== 'string') return undefined
  try {
    if (method.type === 'Multikey') {
      // A `did:key:` here is not a multikey, whatever a lenient parser makes of it.
      return multibaseOf(multibase) === multibase ? parsePublicKey(multibase, options) : undefined
    }
    const curve = Object.hasOwn(LEGACY_KEY_TYPES, method.type)
      ? LEGACY_KEY_TYPES[method.type]
      : undefined
    if (curve === undefined || multibase.length > MAX_MULTIKEY_CHARS) return undefined
    return publicKeyFromBytes(curve, base58btc.decode(multibase), options)
  } catch {
    return undefined
  }
}

function readEndpoint(service: DidService, options: EndpointOptions): string | undefined {
  return readOrigin(service.serviceEndpoint, options.allowHttp === true)
}

const MAX_ENDPOINT_CHARS = 2048

/** The origin an endpoint is, or `undefined` when it is more, less or something else. */
export function readOrigin(endpoint: unknown, allowHttp: boolean): string | undefined {
  if (typeof endpoint !== 'string' || endpoint.length > MAX_ENDPOINT_CHARS) return undefined
  if (!URL.canParse(endpoint)) return undefined
  const url = new URL(endpoint)
  if (url.protocol !== 'https:' && !(allowHttp && url.protocol === 'http:')) return undefined
  // The origin, or the origin and one slash, and nothing URL parsing had to repair.
  const given = endpoint.endsWith('/') ? endpoint.slice(0, -1) : endpoint
  const isOrigin =
    url.pathname === '/' && !/[?#@\\\s]/.test(given) && /^https?:\/\/[^/]+$/i.test(given)
  return isOrigin ? url.origin : undefined
}
