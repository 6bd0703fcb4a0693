/**
 * Who is who in the AT Protocol, and which key they sign with.
 *
 * @packageDocumentation
 */
export { parseDidDocument } from './did-document.ts'
export type {
  DidDocument,
  DidDocumentOptions,
  DidService,
  VerificationMethod,
} from './did-document.ts'
export {
  createServiceDidDocument,
  getAppViewEndpoint,
  getFeedGeneratorEndpoint,
  getHandle,
  getLabelKey,
  getLabelerEndpoint,
  getPdsEndpoint,
  getServiceEndpoint,
  getSigningKey,
  getVerificationKey,
} from './did-document-access.ts'
export type { EndpointOptions, ServiceDidDocumentOptions } from './did-document-access.ts'
export { INVALID_HANDLE, parseHandle } from './handle.ts'
export type { ParseHandleOptions } from './handle.ts'
export { DISALLOWED_TLDS, isPlcDid, parseDid } from './did.ts'
export type { Did, ParseDidOptions } from './did.ts'
export type {
  DidResolution,
  HandleResolution,
  Identity,
  IdentityResolver,
  ResolutionSource,
  ResolveOptions,
} from './resolver/identity-resolver.ts'
export { createGuardedFetch } from './guarded-fetch.ts'
export type { GuardedFetchOptions } from './guarded-fetch.ts'
export { isPublicAddress } from './public-address.ts'
export { DEFAULT_DID_TTLS, DEFAULT_HANDLE_TTLS } from './resolver/resolver-options.ts'
export { createResolver } from './resolver/resolver.ts'
export type { ResolverEvent, ResolverOptions } from './resolver/resolver-options.ts'
export { createMemoryIdentityCache } from './resolver/identity-cache.ts'
export type { CachedAnswer, IdentityCache } from './resolver/identity-cache.ts'
export { DEFAULT_REQUEST_LIMITS } from './resolver/request-gate.ts'
export type { RequestLimits } from './resolver/request-gate.ts'
export type { CacheTtls, LookupOutcome } from './resolver/cached-lookup.ts'
export { createDohResolveTxt } from './handle/doh.ts'
export type { DohOptions } from './handle/doh.ts'
export type { ResolveTxt } from './handle/dns.ts'
export type { HandleMethod } from './handle/resolve.ts'
export {
  DidDeactivatedError,
  DidNotFoundError,
  ForbiddenAddressError,
  HandleAmbiguousError,
  HandleMismatchError,
  HandleNotFoundError,
  IdentityError,
  InvalidDidDocumentError,
  InvalidKeyError,
  InvalidPlcLogError,
  InvalidPlcOperationError,
  InvalidSyntaxError,
  PlcRequestFailedError,
  ResolutionFailedError,
  ResponseTooLargeError,
  UnsupportedDidMethodError,
} from './errors.ts'
export type { FailureFamily, IdentityErrorCode, ResolutionStep } from './errors.ts'
