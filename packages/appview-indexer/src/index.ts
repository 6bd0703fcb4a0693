/**
 * Index AT Protocol records without losing, inventing or doubling one.
 *
 * *Terms*: a *declaration* says how one collection is indexed; a *row* is an indexed record; a row *counts* unless it is a
 * shadowed duplicate, of a hidden account, or kept out by its gate; a *target* is an at-uri or DID that links point to; a
 * *dead letter* is a record that could not be indexed; a *snapshot* is a verified copy of a whole repo at one rev.
 *
 * *Guarantees*: a batch of events is one transaction with the cursor of its source; events at or below the indexed rev
 * of their repo change nothing; the state depends on the records alone, not on the order they came in.
 *
 * *Tricky parts*: declared functions must be pure, because what a record did is taken back by computing it again; when one
 * changes, raise `version`. `sortAt` and `indexedAt` are local observations and differ between two indexes.
 *
 * @packageDocumentation
 */
export { boolean, datetime, did, integer, json, text, uri } from './column.ts'
export type { Column, ColumnKind, ColumnOptions, ColumnSource, RecordObject } from './column.ts'
export { collection } from './collection.ts'
export type {
  AnyCollection,
  CollectionDeclaration,
  CollectionOptions,
  Columns,
  ColumnsOf,
  ColumnValues,
  CounterDeclaration,
  Declarations,
  DeriveDeclaration,
  GateDeclaration,
  GateLookup,
  IndexColumn,
  NotificationInput,
  Row,
  RowBase,
  RetainDeclaration,
  RowInput,
  NameOwnTable,
  TransactionSql,
} from './collection.ts'
export {
  IndexerClosedError,
  IndexerError,
  InvalidCursorError,
  InvalidDeclarationError,
  InvalidLabelersError,
  InvalidQueryError,
  InvalidRecordError,
  SchemaMismatchError,
  HostBusyError,
  SnapshotRejectedError,
  StoreFailureError,
} from './errors.ts'
export type { IndexerErrorCode } from './errors.ts'
export type {
  EventSource,
  IndexAccountEvent,
  IndexCommitEvent,
  IndexEvent,
  IndexIdentityEvent,
  IndexLabel,
  IndexLabelsEvent,
  IndexMissedEvent,
  IndexOp,
  IndexPositionEvent,
  IndexSyncEvent,
  RepoFetcher,
  RepoFetchResult,
  RepoSnapshot,
  SnapshotRecord,
  SourcedEvent,
} from './event.ts'
export { firehoseSource } from './sources/firehose-source.ts'
export type { FirehoseSourceOptions } from './sources/firehose-source.ts'
export { indexEvent } from './sources/index-event.ts'
export { jetstreamSource } from './sources/jetstream-source.ts'
export type { JetstreamSourceOptions } from './sources/jetstream-source.ts'
export { labelSource } from './sources/label-source.ts'
export type { LabelSourceOptions } from './sources/label-source.ts'
export { listRepos } from './sources/list-repos.ts'
export type { ListedRepo, ListReposOptions } from './sources/list-repos.ts'
export { createRelay } from './sources/relay.ts'
export type { Relay, RelayOptions } from './sources/relay.ts'
export { createRepoFetcher } from './sources/repo-fetcher.ts'
export type { RepoFetcherOptions } from './sources/repo-fetcher.ts'
export { DEAD_LETTER_LIMITS } from './engine/dead-letter-limits.ts'
export type { DeadLetterLimits } from './engine/dead-letter-limits.ts'
export { openLiveView } from './live-view.ts'
export type { LiveView, LiveViewOptions } from './live-view.ts'
export { openIndexer } from './open-indexer.ts'
export type {
  BackfillOptions,
  BatchReport,
  BatchResult,
  DeadLetter,
  Indexer,
  IndexerOptions,
  IndexerStatus,
  IndexIssue,
  ReconcileOptions,
  ReconcileResult,
  RepoReport,
  RetryResult,
} from './indexer.ts'
export type {
  Actor,
  Backlink,
  BacklinkQuery,
  IndexReader,
  Notification,
  TimelineQuery,
  TimelineRow,
} from './query/index-reader.ts'
export type { AcceptedLabelers, LabelSubject, SubjectLabels } from './query/labels.ts'
export type { SqlValue } from './sql-value.ts'
export type { Page, PageOptions } from './query/page.ts'
export type { RelationKind } from './query/relations.ts'
export type { Comparison, Conditions, QueryColumn, QueryValue, Select } from './query/select.ts'
export type { MaybePromise } from './stores/maybe-promise.ts'
export type { IndexStore, SqlDialect } from './stores/port.ts'
export { isOfShard } from './shard.ts'
export type { Shard } from './shard.ts'
export { MAX_LINKS_PER_RECORD } from './record-links.ts'
export { didOf } from './target.ts'
