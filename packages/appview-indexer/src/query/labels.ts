import { formatLabelersHeader, parseLabelersHeader } from '@skywright/xrpc'
import type { LabelerPreference } from '@skywright/xrpc'

import { decodeLabel } from '../engine/apply-labels.ts'
import { InvalidLabelersError } from '../errors.ts'
import type { IndexLabel } from '../event.ts'
import { labelSourceName } from '../sources/label-source.ts'
import type { IndexStore } from '../stores/port.ts'
import type { SqlValue } from '../sql-value.ts'
import { didOf } from '../target.ts'
import { marks } from './identities.ts'
import type { Identities } from './identities.ts'

/** Which labelers a request wants to hear, of those that this index follows. */
export interface AcceptedLabelers {
  readonly labelers: readonly LabelerPreference[]
  /** What to answer as `atproto-content-labelers`. */
  readonly header: string
}

/** Whose labels, about which version: a record's at-uri or a DID, or with the CID of the version that is shown. */
export type LabelSubject = string | { readonly uri: string; readonly cid?: string | undefined }

/** What labelers say of one subject now. */
export interface SubjectLabels {
  /** Those that hold: the newest, not taken back, not over, about this version. */
  readonly labels: readonly IndexLabel[]
  /** A labeler that is asked to redact takes the subject, or the account it is of, down: do not show it. */
  readonly redacted: boolean
}

/** Values that make a redacting labeler take content down. */
export const REDACTING_VALUES = ['!takedown', '!suspend'] as const
/** Subjects in one statement. */
const CHUNK = 500

/**
 * The labelers of an `atproto-accept-labelers` header that labels are indexed of; those of accounts that are hidden are
 * left out. Without the header the defaults apply.
 *
 * @throws {InvalidLabelersError} when the header cannot be read
 */
export async function acceptLabelers(
  store: IndexStore,
  header: string | null | undefined,
  defaults: readonly LabelerPreference[],
): Promise<AcceptedLabelers> {
  const parsed = parseLabelersHeader(header)
  if (parsed.kind === 'malformed') throw new InvalidLabelersError(parsed.reason)
  const wanted = parsed.kind === 'absent' ? defaults : parsed.labelers
  if (wanted.length === 0) return { labelers: [], header: '' }
  const rows = await store.query("SELECT name FROM ix_source WHERE name LIKE 'labels:%'", [])
  const followed = new Set(rows.map((row) => String(row['name']).replace(/#\d+\/\d+$/, '')))
  const known = wanted.filter(({ did }) => followed.has(labelSourceName(did)))
  const hidden = new Set<unknown>()
  if (known.length > 0)
    for (const row of await store.query(
      `SELECT did FROM ix_actor WHERE active = 0 AND did IN (${marks(known.length)})`,
      known.map(({ did }) => did),
    ))
      hidden.add(row['did'])
  const labelers = known.filter(({ did }) => !hidden.has(did))
  return { labelers, header: formatLabelersHeader(labelers) }
}

/** What accepted labelers say of subjects now. Every subject is in the answer. */
export async function readLabels(
  store: IndexStore,
  identities: Identities,
  subjects: readonly LabelSubject[],
  { labelers }: AcceptedLabelers,
  now: number,
): Promise<Map<string, SubjectLabels>> {
  const wanted = subjects.map((subject) =>
    typeof subject === 'string' ? { uri: subject } : subject,
  )
  const accounts = new Map(wanted.map(({ uri }) => [uri, didOf(uri) ?? uri]))
  const targets = await identities.targets([...accounts.keys(), ...accounts.values()])
  const sources = await identities.repos(labelers.map(({ did }) => did))
  const held = new Map<number, IndexLabel[]>()
  const ids = [...new Set(targets.values())]
  const srcs = [...sources.values()]
  for (let at = 0; srcs.length > 0 && at < ids.length; at += CHUNK) {
    const part = ids.slice(at, at + CHUNK)
    const rows = await store.query(
      `SELECT target, bytes FROM ix_label WHERE target IN (${marks(part.length)}) AND src IN (${marks(srcs.length)})
       AND neg = 0 AND (exp IS NULL OR exp > ?) ORDER BY target, src, val, cid`,
      [...part, ...srcs, now],
    )
    for (const row of rows) {
      const target = Number(row['target'])
      // The column is a BLOB.
      held.set(target, [...(held.get(target) ?? []), decodeLabel(row['bytes'] as Uint8Array)])
    }
  }
  const redacting = new Set(labelers.filter(({ redact }) => redact).map(({ did }) => did))
  const isRedaction = ({ src, val }: IndexLabel): boolean =>
    redacting.has(src) && REDACTING_VALUES.some((value) => value === val)
  const of = (text: string, version: string | undefined): IndexLabel[] =>
    (held.get(targets.get(text) ?? -1) ?? []).filter(
      ({ cid }) => cid === undefined || version === undefined || cid === version,
    )
  return new Map(
    wanted.map(({ uri, cid }) => {
      const labels = of(uri, cid)
      const redacted =
        labels.some(isRedaction) || of(accounts.get(uri) ?? '', undefined).some(isRedaction)
      return [uri, { labels, redacted }]
    }),
  )
}

/** SQL that keeps out rows which accepted labelers redact, directly or with their account. `target` is the row's own. */
export async function redactionSql(
  identities: Identities,
  { labelers }: AcceptedLabelers,
  target: string,
  now: number,
): Promise<{ readonly where: string; readonly parameters: readonly SqlValue[] } | undefined> {
  const redacting = labelers.filter(({ redact }) => redact).map(({ did }) => did)
  const sources = [...(await identities.repos(redacting)).values()]
  if (sources.length === 0) return undefined
  return {
    where: `NOT EXISTS (SELECT 1 FROM ix_label l WHERE l.target IN (repo * 2 + 1, ${target}) AND l.src IN (${marks(sources.length)})
      AND l.val IN (${marks(REDACTING_VALUES.length)}) AND l.neg = 0 AND (l.exp IS NULL OR l.exp > ?))`,
    parameters: [...sources, ...REDACTING_VALUES, now],
  }
}
