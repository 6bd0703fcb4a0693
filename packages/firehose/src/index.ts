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
export { serveEvents } from './serve.ts'
export type { ServeEventsOptions } from './serve.ts'
export { subscribeRepos } from './subscribe.ts'
export type { SubscribeReposOptions } from './subscribe.ts'
export { createCollectionMatcher } from './filter.ts'
export type { EventFilter } from './filter.ts'
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
export type {
  AccountIdentity,
  ChainPolicy,
  EventVerifier,
  EventVerifierOptions,
  IdentitySource,
  SigningKey,
} from './verify/verifier.ts'
export {
  ConsumerTooSlowError,
  DisconnectedError,
  FirehoseError,
  FutureCursorError,
  HostRefusedError,
  InvalidFrameError,
  LogClosedError,
  LogCorruptError,
  StreamError,
  UnknownFrameError,
} from './errors.ts'
export type { FirehoseErrorCode } from './errors.ts'
