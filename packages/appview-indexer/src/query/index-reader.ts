import type { ColumnsOf, Declarations, Row } from '../collection.ts'
import type { LabelerPreference } from '@skywright/xrpc'

import type { SqlValue } from '../sql-value.ts'
import type { AcceptedLabelers, LabelSubject, SubjectLabels } from './labels.ts'
import type { Page, PageOptions } from './page.ts'
import type { RelationKind } from './relations.ts'
import type { Select } from './select.ts'

/** An account as the index knows it. */
export interface Actor {
  readonly did: string
  /** Verified handle; undefined when unchecked or invalid. */
  readonly handle: string | undefined
  /** False hides every record of the account. */
  readonly active: boolean
  /** Upstream status text (`deactivated`, `takendown` …) when it was given. */
  readonly status: string | undefined
  /** The last rev indexed: what `atproto-repo-rev` answers. */
  readonly rev: string | undefined
}

/** A stored notification. */
export interface Notification {
  readonly recipient: string
  /** The record that caused it. */
  readonly uri: string
  readonly author: string
  readonly reason: string
  readonly subject: string | undefined
  /** Unix milliseconds. */
  readonly sortAt: number
}

/** One link to a target. */
export interface Backlink {
  readonly uri: string
  readonly did: string
  readonly rkey: string
}

/** Which links to follow back. */
export interface BacklinkQuery<N extends string> {
  /** An at-uri or a DID. */
  readonly target: string
  readonly from: N
  /** The column name, or the record path for links that are not columns (`embed.record.uri`, `facets[].features[].did`). */
  readonly path: string
  /** Only links of these accounts. */
  readonly dids?: readonly string[]
}

/** Several collections merged into one time line of authors, newest first. */
export interface TimelineQuery<N extends string> extends PageOptions {
  /** Collections to merge; each needs the index `['did', '-sortAt']`. */
  readonly from: readonly N[]
  /** Accounts whose records are wanted, or the account whose `did`-column edges name them. */
  readonly authors:
    | readonly string[]
    | { readonly of: string; readonly edge: N; readonly column: string; readonly self?: boolean }
}

/** One row of a time line, with the collection it is from. */
export type TimelineRow<D extends Declarations> = {
  readonly [N in keyof D & string]: { readonly from: N; readonly row: Row<ColumnsOf<D[N]>> }
}[keyof D & string]

/** Everything that reads the index. Reads see committed batches only. */
export interface IndexReader<D extends Declarations> {
  /** Starts a typed query. */
  select<N extends keyof D & string>(from: N): Select<ColumnsOf<D[N]>>
  /** One visible row by at-uri. */
  get<N extends keyof D & string>(from: N, uri: string): Promise<Row<ColumnsOf<D[N]>> | undefined>
  /** Visible rows by at-uri; absent ones are missing from the map. At most 1,000 URIs. */
  getMany<N extends keyof D & string>(
    from: N,
    uris: readonly string[],
  ): Promise<ReadonlyMap<string, Row<ColumnsOf<D[N]>>>>
  /** Declared counters of at-uris or DIDs; a subject nobody counted is present with zeros. At most 1,000 subjects. */
  counts(
    subjects: readonly string[],
  ): Promise<ReadonlyMap<string, Readonly<Record<string, number>>>>
  /** Who links to a target, oldest account first, stable under inserts. */
  backlinks<N extends keyof D & string>(
    query: BacklinkQuery<N> & PageOptions,
  ): Promise<Page<Backlink>>
  /** How many links a target has: a counter read when one is declared on that column, else an index scan. */
  countBacklinks<N extends keyof D & string>(query: BacklinkQuery<N>): Promise<number>
  /**
   * How an account stands to records or other accounts: the at-uris of the records that say so, by subject and kind. A
   * subject that nothing relates is missing. At most 1,000 subjects.
   *
   * @example
   * ```ts
   * const state = await index.relations(viewer, authors, {
   *   following: { from: 'follow', path: 'subject' },
   *   followedBy: { from: 'follow', path: 'subject', reverse: true },
   * })
   * ```
   */
  relations<K extends string>(
    did: string,
    subjects: readonly string[],
    kinds: Readonly<Record<K, RelationKind<keyof D & string>>>,
  ): Promise<ReadonlyMap<string, { readonly [kind in K]?: string }>>
  /** Records of many authors merged newest first, read lazily per author (no sort of everything). */
  timeline<N extends keyof D & string>(
    query: TimelineQuery<N>,
  ): Promise<Page<TimelineRow<Pick<D, N>>>>
  /** Notifications of an account, newest first. */
  notifications(
    recipient: string,
    options?: PageOptions & { readonly reasons?: readonly string[] },
  ): Promise<Page<Notification>>
  /** How many notifications are newer than a time (Unix milliseconds). Stops counting at `limit`. @defaultValue limit 1000 */
  countNotifications(
    recipient: string,
    options?: { readonly after?: number; readonly limit?: number },
  ): Promise<number>
  /** An account by DID or verified handle. */
  actor(didOrHandle: string): Promise<Actor | undefined>
  /** Accounts by DID. At most 1,000. */
  actors(dids: readonly string[]): Promise<ReadonlyMap<string, Actor>>
  /**
   * The labelers that a request's `atproto-accept-labelers` names and this index follows; without the header, `defaults`.
   *
   * @throws {InvalidLabelersError} when the header cannot be read: answer 400
   */
  acceptLabelers(
    header: string | null | undefined,
    defaults?: readonly LabelerPreference[],
  ): Promise<AcceptedLabelers>
  /** What accepted labelers say of records and accounts now. Every subject is in the answer. At most 1,000 subjects. */
  labels(
    subjects: readonly LabelSubject[],
    accepted: AcceptedLabelers,
  ): Promise<ReadonlyMap<string, SubjectLabels>>
  /** Own SQL over the tables described in the README; parameters are bound, never interpolated. */
  sql<T>(statement: string, parameters?: readonly SqlValue[]): Promise<readonly T[]>
}
