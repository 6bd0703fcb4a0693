/**
 * Encode, sequence, serve, consume and verify the AT Protocol firehose.
 *
 * @packageDocumentation
 */
export { commitEvent } from './event.ts'
export type {
  AccountEvent,
  CommitEvent,
  IdentityEvent,
  InfoEvent,
  RepoEvent,
  SyncEvent,
  WireEvent,
} from './event.ts'
export { decodeEvent, encodeEvent } from './codec.ts'
export { patchSeq, peekFrame } from './peek.ts'
export type { FramePeek } from './peek.ts'
export type {
  EventLog,
  LogAppend,
  LogBounds,
  LogEntry,
  LogReadOptions,
  LogTrimOptions,
  TransactionalEventLog,
} from './event-log/port.ts'
export { createMemoryEventLog } from './event-log/memory.ts'
export type { MemoryEventLogOptions } from './event-log/memory.ts'
export { openEventCursor, serveEvents } from './serve.ts'
export type { EventCursor, EventStep, ServeEventsOptions } from './serve.ts'
export { encodeWebSocketFrame } from './ws-frame.ts'
export type { SequenceMode } from './event-log/seed.ts'
export { subscribeRepos } from './subscribe.ts'
export type { EventSubscription, SubscribeReposOptions } from './subscribe.ts'
export { runRepos } from './run.ts'
export type { RunReposOptions } from './run.ts'
export type { StreamOptions } from './stream-options.ts'
export type { ConsumerCounts } from './consumer-counts.ts'
export type { FrameOutcome, FrameType, StreamObservation, StreamObserver } from './tally.ts'
export { openPlatformSocket } from './platform-socket.ts'
export { systemClock } from './timer.ts'
export type { Clock } from './timer.ts'
export type { BackoffOptions } from './backoff.ts'
export { KeyedQueue } from './queue.ts'
export type { KeyedQueueOptions } from './queue.ts'
export { LowWater } from './low-water.ts'
export { createCollectionMatcher } from './filter.ts'
export type { EventFilter } from './filter.ts'
export { fetchRepo } from './resync/fetch-repo.ts'
export type { FetchRepoOptions, RepoCopy } from './resync/fetch-repo.ts'
export { listRepos } from './resync/list-repos.ts'
export type { ListedPage, ListReposOptions } from './resync/list-repos.ts'
export { diffRepo } from './resync/diff-repo.ts'
export { createMemorySyncStore } from './resync/sync-store.ts'
export type { SyncStore } from './resync/sync-store.ts'
export type { ResyncOptions } from './resync/synchronizer.ts'
export type { FetchLike } from './resync/request.ts'
export { findCursor } from './find-cursor.ts'
export type { FindCursorOptions, FoundCursor } from './find-cursor.ts'
export { readFrameFile, verifyFrames } from './frame-file.ts'
export type { FrameReport, VerifyFramesOptions } from './frame-file.ts'
export { createMemoryCursorStore } from './cursor-store.ts'
export type { CursorStore } from './cursor-store.ts'
export type { OpenStream, OpenStreamOptions } from './socket.ts'
export type {
  FirehoseIssue,
  StreamAccount,
  StreamCommit,
  StreamEvent,
  StreamIdentity,
  StreamOp,
  StreamSync,
} from './stream-event.ts'
export { createMemoryChainStore } from './verify/chain-store.ts'
export type { ChainStore } from './verify/chain-store.ts'
export type {
  ChainState,
  DiscontinuityReason,
  Outcome,
  RejectReason,
  VerifiedCommit,
} from './verify/outcome.ts'
export { createEventVerifier } from './verify/verifier.ts'
export type {
  ChainPolicy,
  EventVerifier,
  EventVerifierOptions,
  Prove,
  VerifyEventOptions,
} from './verify/verifier.ts'
export type { AccountIdentity, IdentitySource, SigningKey } from './verify/identity.ts'
export { proveEvent } from './verify/prove.ts'
export type { Proven } from './verify/prove.ts'
export { createDocumentIdentities } from './verify/document-identities.ts'
export { createIdentitySource } from './verify/identity-source.ts'
export type { IdentitySourceOptions } from './verify/identity-source.ts'
export {
  ConsumerTooSlowError,
  DisconnectedError,
  FetchFailedError,
  FirehoseError,
  FutureCursorError,
  HostRefusedError,
  InvalidFrameError,
  LogClosedError,
  LogCorruptError,
  RepoUnavailableError,
  StreamError,
  UnknownFrameError,
} from './errors.ts'
export type { FirehoseErrorCode } from './errors.ts'
