import type { HostRecord } from '@skywright/firehose/relay'
import type { OutcomeCount } from './host-reports.ts'

const DAY_MS = 86_400_000
/** A host whose events are refused more often than this has no clean record. */
const MAX_REJECTED_SHARE = 0.01
/** No limit grows by itself beyond this; larger hosts are an operator's decision. */
export const MAX_EARNED_ACCOUNT_LIMIT = 1_000_000

/**
 * The account limit a host has earned: the base, doubled for each full day it has been followed, as long as its record
 * is clean. Limits never shrink by themselves, so a bad day stops growth and takes nothing away.
 *
 * @returns the new limit, or `undefined` when it stays
 */
export function earnedAccountLimit(
  host: HostRecord,
  counts: readonly OutcomeCount[],
  options: { readonly base: number; readonly now: number },
): number | undefined {
  if (host.status === 'banned') return undefined
  const events = counts.filter(({ outcome }) => outcome !== 'connection')
  const total = sum(events)
  const bad = sum(events.filter(({ outcome, reason }) => isBad(outcome) && reason !== 'stale-rev'))
  if (total === 0 || bad / total > MAX_REJECTED_SHARE) return undefined
  const days = Math.max(0, Math.floor((options.now - host.addedAtMs) / DAY_MS))
  const earned = Math.min(MAX_EARNED_ACCOUNT_LIMIT, options.base * 2 ** Math.min(days, 30))
  return earned > host.accountLimit ? earned : undefined
}

function isBad(outcome: OutcomeCount['outcome']): boolean {
  return outcome === 'rejected' || outcome === 'tolerated'
}

function sum(counts: readonly OutcomeCount[]): number {
  return counts.reduce((total, { count }) => total + count, 0)
}
