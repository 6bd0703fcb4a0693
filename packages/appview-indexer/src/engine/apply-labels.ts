import { decodeCbor, encodeCbor } from '@skywright/repo/cbor'

import type { IndexLabel } from '../event.ts'
import { asTarget } from '../record-links.ts'
import type { Schema } from '../schema.ts'
import { storableText } from '../storable-text.ts'
import type { IndexTransaction, LabelRow } from '../stores/transaction.ts'
import { isDid, parseRecordUri } from '../target.ts'
import { ask } from './steps.ts'
import type { Steps } from './steps.ts'

/** A label that was passed over, and why. */
export interface LabelFailure {
  readonly label: IndexLabel
  readonly reason: string
}

/** What storing labels did. */
export interface LabelOutcome {
  /** Statements that are new or changed. */
  readonly stored: number
  readonly failures: readonly LabelFailure[]
  /** Short names of the collections whose rows the labels are about. */
  readonly touched: ReadonlySet<string>
}

/** Longest CID text of a label, in characters. */
const MAX_CID_LENGTH = 256

/**
 * Keeps of every statement (labeler, subject, version, value) the label made last, taken back ones too, so that a replay
 * of older ones changes nothing. The result does not depend on the order of arrival.
 */
export function* applyLabels(
  schema: Schema,
  tx: IndexTransaction,
  labels: readonly IndexLabel[],
): Steps<LabelOutcome> {
  const failures: LabelFailure[] = []
  const newest = new Map<string, { readonly label: IndexLabel; readonly target: string }>()
  for (const label of labels) {
    const target = asTarget(label.uri)
    const reason = target === undefined ? 'not about an account or a record' : refusalOf(label)
    if (target === undefined || reason !== undefined) {
      failures.push({ label, reason: reason ?? '' })
      continue
    }
    const key = JSON.stringify([label.src, target, label.val, label.cid ?? ''])
    const before = newest.get(key)
    if (before === undefined || isNewer(label, before.label)) newest.set(key, { label, target })
  }
  const statements = [...newest.values()]
  if (statements.length === 0) return { stored: 0, failures, touched: new Set() }
  const targets = yield* ask(tx.targets(statements.map(({ target }) => target)))
  const sources = yield* ask(tx.targets(statements.map(({ label }) => label.src)))
  const rows = statements.map(({ label }, index): LabelRow => {
    const { val, cid = '', neg = false, cts, exp } = label
    return {
      target: targets[index] ?? 0,
      src: ((sources[index] ?? 1) - 1) / 2,
      val,
      cid,
      neg,
      cts: Date.parse(cts),
      exp: exp === undefined ? undefined : Date.parse(exp),
      bytes: encodeCbor({ ...label }),
    }
  })
  const stored = yield* ask(tx.labels(rows))
  const fresh = rows.flatMap((row, index) => {
    const { label, target } = statements[index] ?? {}
    const before = stored[index]
    if (label === undefined || target === undefined) return []
    return before === undefined || isNewer(label, decodeLabel(before.bytes))
      ? [{ row, target }]
      : []
  })
  yield* ask(tx.putLabels(fresh.map(({ row }) => row)))
  const touched = new Set<string>()
  for (const { target } of fresh) {
    const collection = parseRecordUri(target)?.collection
    for (const { name, nsid } of schema.collections)
      // A label of an account is about everything of it.
      if (collection === undefined || collection === nsid) touched.add(name)
  }
  return { stored: fresh.length, failures, touched }
}

/** The label again. Only bytes written here come here. */
export function decodeLabel(bytes: Uint8Array): IndexLabel {
  return decodeCbor(bytes) as unknown as IndexLabel
}

function refusalOf({ src, val, cid = '', cts, exp }: IndexLabel): string | undefined {
  if (!isDid(src)) return 'src is not a DID'
  if (val === '' || storableText(val) !== val) return 'val is not a text to store'
  if (cid.length > MAX_CID_LENGTH || storableText(cid) !== cid) return 'cid is not a CID'
  if (!Number.isSafeInteger(Date.parse(cts))) return 'cts is not a datetime'
  if (exp !== undefined && !Number.isSafeInteger(Date.parse(exp))) return 'exp is not a datetime'
  return undefined
}

/**
 * Whether a label replaces another one of the same statement. The later one does; of two of the same moment the one that
 * takes back, which must have followed; of two that differ in less, one, always the same.
 */
function isNewer(label: IndexLabel, before: IndexLabel): boolean {
  const difference = Date.parse(label.cts) - Date.parse(before.cts)
  if (difference !== 0) return difference > 0
  const [fraction, fractionBefore] = [fractionOf(label.cts), fractionOf(before.cts)]
  if (fraction !== fractionBefore) return fraction > fractionBefore
  if (label.neg !== before.neg) return label.neg === true
  return label.cts + (label.exp ?? '') > before.cts + (before.exp ?? '')
}

/** Digits of the second, comparable as text: `Date.parse` sees three of them. */
function fractionOf(cts: string): string {
  return (/\.(\d+)/.exec(cts)?.[1] ?? '').padEnd(20, '0')
}
