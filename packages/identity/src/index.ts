/**
 * Who is who in the AT Protocol, and which key they sign with.
 *
 * @packageDocumentation
 */
export type { DidDocument, DidService, VerificationMethod } from './did-document.ts'
export {
  createServiceDidDocument,
  getHandle,
  getPdsEndpoint,
  getServiceEndpoint,
  getSigningKey,
  getVerificationKey,
} from './did-document-access.ts'
export type { EndpointOptions, ServiceDidDocumentOptions } from './did-document-access.ts'
export { INVALID_HANDLE } from './resolver/identity-resolver.ts'
export type {
  DidResolution,
  HandleResolution,
  Identity,
  IdentityResolver,
  ResolutionSource,
  ResolveOptions,
} from './resolver/identity-resolver.ts'
export { createResolver } from './resolver/resolver.ts'
export type { ResolverOptions, ResolveTxt } from './resolver/resolver.ts'
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
