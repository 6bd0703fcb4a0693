import type { AcceptedLabelers, Actor, SubjectLabels } from '@skywright/appview-indexer'
import type { GeneratorRow, PostRow, ProfileRow } from '../collections.ts'

/** How the viewer and another account stand to each other: the at-uris of the records that say so. */
export interface Relation {
  readonly following?: string
  readonly followedBy?: string
  readonly blocking?: string
  readonly blockedBy?: string
}

/** For whom an answer is made. */
export interface Caller {
  /** DID of the account that asks; `undefined` when nobody is signed in. */
  readonly did: string | undefined
  /** Whom it listens to. */
  readonly labelers: AcceptedLabelers
}

/**
 * Everything the views of one answer are made from, loaded in a few batches. Views only read it, so
 * that no view asks the index on its own.
 */
export interface Hydration {
  /** DID of the account that asks; `undefined` when nobody is signed in. */
  readonly viewer: string | undefined
  readonly labelers: AcceptedLabelers
  /** What the labelers say, by at-uri or DID. */
  readonly labels: Map<string, SubjectLabels>
  readonly posts: Map<string, PostRow>
  readonly generators: Map<string, GeneratorRow>
  readonly actors: Map<string, Actor>
  /** By DID. */
  readonly profiles: Map<string, ProfileRow>
  /** By at-uri or DID. */
  readonly counts: Map<string, Readonly<Record<string, number>>>
  /** By DID; only what exists. */
  readonly relations: Map<string, Relation>
  /** At-uri of the viewer's like by at-uri of its subject. */
  readonly likes: Map<string, string>
  /** At-uri of the viewer's repost by at-uri of its subject. */
  readonly reposts: Map<string, string>
  /** Pairs of accounts of which one blocks the other; see {@link pairKey}. */
  readonly blockedPairs: Set<string>
}

/** An empty hydration. */
export function createHydration({ did, labelers }: Caller): Hydration {
  return {
    viewer: did,
    labelers,
    labels: new Map(),
    posts: new Map(),
    generators: new Map(),
    actors: new Map(),
    profiles: new Map(),
    counts: new Map(),
    relations: new Map(),
    likes: new Map(),
    reposts: new Map(),
    blockedPairs: new Set(),
  }
}

/** The key of an unordered pair of accounts. */
export function pairKey(a: string, b: string): string {
  return a < b ? `${a} ${b}` : `${b} ${a}`
}

/** Whether one of the two accounts blocks the other. */
export function isPairBlocked(hydration: Hydration, a: string, b: string): boolean {
  return hydration.blockedPairs.has(pairKey(a, b))
}

/** Whether the viewer blocks the account, or the other way round. */
export function isBlocked(hydration: Hydration, did: string): boolean {
  if (did === hydration.viewer) return false
  const relation = hydration.relations.get(did)
  return relation?.blocking !== undefined || relation?.blockedBy !== undefined
}

/** Whether the account may be shown: see {@link isShown}; and no labeler that may takes it down. */
export function isVisible(hydration: Hydration, did: string): boolean {
  return isShown(hydration.actors.get(did)) && hydration.labels.get(did)?.redacted !== true
}

/** Whether a record may be shown: its account may, and no labeler that may takes it down or holds it back for review. */
export function isRecordVisible(hydration: Hydration, uri: string, did: string): boolean {
  if (!isVisible(hydration, did) || hydration.labels.get(uri)?.redacted === true) return false
  if (did === hydration.viewer || hydration.relations.get(did)?.following !== undefined) return true
  return !isUnderReview(hydration, uri) && !isUnderReview(hydration, did)
}

/** Said by a labeler that may redact, it is acted on here and not told: clients do not know what to do with it. */
const NEEDS_REVIEW = 'needs-review'

function isUnderReview(hydration: Hydration, subject: string): boolean {
  return hydration.labels.get(subject)?.labels.some((label) => isActedOn(hydration, label)) === true
}

/** Whether a label is no matter of the client. */
export function isActedOn(
  { labelers }: Hydration,
  { src, val }: SubjectLabels['labels'][number],
): boolean {
  return val === NEEDS_REVIEW && labelers.labelers.some(({ did, redact }) => redact && did === src)
}

/**
 * Whether an account may be shown: not deactivated, suspended, taken down or deleted, and seen itself. One that only
 * others name (somebody follows it, say) may be in any of those states.
 */
export function isShown(actor: Actor | undefined): actor is Actor {
  if (actor?.active !== true) return false
  return actor.rev !== undefined || actor.handle !== undefined
}
