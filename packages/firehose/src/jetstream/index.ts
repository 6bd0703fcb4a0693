/**
 * Jetstream: the firehose as small JSON, unverified.
 *
 * @packageDocumentation
 */
export { subscribeJetstream } from './subscribe-jetstream.ts'
export type { JetstreamZstd, SubscribeJetstreamOptions } from './subscribe-jetstream.ts'
export type { JetstreamCompression } from './compressed-messages.ts'
export type { CompressZstd, DecompressZstd } from './dictionary.ts'
export { createJetstreamMatcher, serveJetstream } from './serve-jetstream.ts'
export type {
  JetstreamFilter,
  JetstreamMatcher,
  JetstreamMemo,
  ServeJetstreamOptions,
} from './serve-jetstream.ts'
export { jetstreamEvents } from './jetstream-event.ts'
export type { JetstreamCommit, JetstreamEvent, UntimedEvent } from './jetstream-event.ts'
