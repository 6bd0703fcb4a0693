/**
 * XRPC: lexicons in, typed routes and clients out, service auth, proxying and subscriptions.
 *
 * @packageDocumentation
 */
export * from './errors.ts'
export * from './infer.ts'
export * from './request.ts'
export * from './method.ts'
export * from './catalog.ts'
export * from './lexicon-document.ts'
export * from './router.ts'
export * from './client.ts'
export * from './session.ts'
export * from './service-jwt.ts'
export * from './service-auth.ts'
export * from './replay-cache.ts'
export * from './proxy.ts'
export * from './proxy-header.ts'
export * from './protected-methods.ts'
export * from './fetch-like.ts'
export * from './data-model.ts'
