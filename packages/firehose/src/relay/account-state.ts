import type { AccountEvent } from '../event.ts'
import type { AccountRecord } from './ports.ts'

/** Statuses that say something about an account without switching it off. */
const ACTIVE_STATUSES: ReadonlySet<string> = new Set(['active', 'desynchronized', 'throttled'])

/** Longest status remembered: today's are all shorter, and a host chooses it. */
const MAX_STATUS_LENGTH = 64

/** Whether the host lets the account act. */
export function isActiveUpstream(account: AccountRecord): boolean {
  return ACTIVE_STATUSES.has(account.upstreamStatus)
}

/** What the relay says about an account: its operator's word first, else the host's. */
export function accountStatus(account: AccountRecord): {
  readonly active: boolean
  /** Absent when there is nothing to say beyond `active`. */
  readonly status?: string
} {
  const status = account.localStatus ?? account.upstreamStatus
  return {
    active: account.localStatus === undefined && isActiveUpstream(account),
    ...(status === 'active' ? {} : { status }),
  }
}

/** The status an `#account` event announces, as one word. `active` decides: a status cannot contradict it. */
export function announcedStatus({ active, status }: AccountEvent): string {
  const word = status?.slice(0, MAX_STATUS_LENGTH)
  if (active) return word !== undefined && ACTIVE_STATUSES.has(word) ? word : 'active'
  return word === undefined || ACTIVE_STATUSES.has(word) ? 'deactivated' : word
}
