/**
 * XRPC: lexicons in, typed routes and clients out, service auth, proxying and subscriptions.
 *
 * @packageDocumentation
 */
export {
  AuthRequiredError,
  ConnectionError,
  ForbiddenError,
  InvalidDataError,
  InvalidFrameError,
  InvalidLexiconError,
  InvalidRequestError,
  InvalidResponseError,
  NotFoundError,
  RateLimitedError,
  UpstreamFailureError,
  StreamClosedError,
  ValidationError,
  XrpcError,
  XrpcPackageError,
} from './errors.ts'
export type { NamedXrpcErrorOptions, XrpcErrorOptions } from './errors.ts'
export type {
  AtUriString,
  BinaryInput,
  BinaryOutput,
  BlobRef,
  CidLink,
  DefinitionOf,
  DidString,
  Direction,
  ErrorOf,
  HandleString,
  Infer,
  InputOf,
  JsonBytes,
  JsonLink,
  MessageOf,
  MethodIds,
  NsidString,
  OutputOf,
  ParamsOf,
  ProvidedBlobRef,
  RecordIds,
  RecordOf,
  UnknownVariant,
} from './infer.ts'
export { isVariant } from './variant.ts'
export { lexicon } from './lexicon-document.ts'
export type { LexiconDocument } from './lexicon-document.ts'
export { createCatalog } from './catalog.ts'
export type { LexiconCatalog, RegistryOf, ValidateRecordOptions } from './catalog.ts'
export type { CompiledMethod } from './compiled-method.ts'
export { MAX_INPUT_DEPTH, MAX_OUTPUT_DEPTH, fromJson, isCidLink, toJson } from './data-model.ts'
export type { FromJsonOptions } from './data-model.ts'
export type { HeaderReader, XrpcRequest, XrpcResponse } from './request.ts'
export { XrpcReply, reply } from './method.ts'
export type {
  AnyContext,
  AnyMethodId,
  AuthContext,
  AuthStep,
  LimitContext,
  MethodContext,
  MethodOptions,
  MethodResult,
  ReplyBody,
  ReplyOptions,
  SubscriptionItem,
  XrpcMethod,
} from './method.ts'
export { isXrpcPath } from './call.ts'
export { createRouter, defineMethod } from './router.ts'
export type { FallbackHandler, FetchInfo, Middleware, Router, RouterOptions } from './router.ts'
export { encodeMessage } from './subprotocol.ts'
export type { FrameData, Subprotocol } from './subprotocol.ts'
export type { StreamEnd, Subscription } from './subscription.ts'
export { createClient } from './client.ts'
export type {
  CallOptions,
  CallResult,
  Client,
  ClientOptions,
  ProcedureCallOptions,
} from './client.ts'
export type { RetryOptions } from './retry.ts'
export type { FetchLike } from './fetch-like.ts'
export { createSession, resumeSession } from './session.ts'
export type {
  AccountResolver,
  LoginOptions,
  Session,
  SessionData,
  SessionOptions,
} from './session.ts'
export { createSignIns } from './sign-ins.ts'
export type { SignIns, SignInsOptions } from './sign-ins.ts'
export { createServiceJwt } from './service-jwt.ts'
export type { ServiceJwtOptions } from './service-jwt.ts'
export { createServiceAuthVerifier } from './service-auth.ts'
export type {
  ServiceAuthVerifier,
  ServiceAuthVerifierOptions,
  ServiceCredentials,
} from './service-auth.ts'
export { createReplayCache } from './replay-cache.ts'
export type { ReplayCache, ReplayCacheOptions } from './replay-cache.ts'
export { formatProxyHeader, parseProxyHeader } from './proxy-header.ts'
export type { ProxyTarget } from './proxy-header.ts'
export { createProxy } from './proxy.ts'
export type { Proxy, ProxyCredentials, ProxyOptions } from './proxy.ts'
export { isProtectedMethod } from './protected-methods.ts'
export { subscribe } from './subscribe.ts'
export type { SubscribeOptions, SubscriptionIssue } from './subscribe.ts'
export { openPlatformStream } from './stream-connection.ts'
export type { OpenStream, OpenStreamOptions } from './stream-connection.ts'
export { formatLabelersHeader, parseLabelersHeader } from './labelers.ts'
export type { LabelerPreference, LabelersHeader } from './labelers.ts'
export type { CallContext } from './call-context.ts'
export { createMemoryRateLimitStore, createRateLimit } from './rate-limit.ts'
export type {
  MemoryRateLimitStoreOptions,
  RateLimit,
  RateLimitCount,
  RateLimitOptions,
  RateLimitState,
  RateLimitStore,
} from './rate-limit.ts'
export type { ServerSocket, UpgradeWebSocket } from './web-socket.ts'
