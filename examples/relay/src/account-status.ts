import type { AccountRecord } from '@skywright/firehose/relay'

/** Statuses that say something about an account without switching it off. */
const ACTIVE_STATUSES = ['active', 'desynchronized', 'throttled']

/** What the relay says about an account: its own takedown first, else what the host announced. */
export function accountStatus(account: AccountRecord): {
  readonly active: boolean
  readonly status?: string
} {
  const status = account.localStatus ?? account.upstreamStatus
  return {
    active: ACTIVE_STATUSES.includes(status),
    ...(status === 'active' ? {} : { status }),
  }
}

/** The error name with which a repository is refused, or `undefined` when it may be served. */
export function unavailableName(
  account: AccountRecord | undefined,
): 'RepoNotFound' | 'RepoTakendown' | 'RepoSuspended' | 'RepoDeactivated' | undefined {
  if (account === undefined) return 'RepoNotFound'
  const { active, status } = accountStatus(account)
  if (active) return undefined
  if (status === 'takendown') return 'RepoTakendown'
  if (status === 'suspended') return 'RepoSuspended'
  return status === 'deleted' ? 'RepoNotFound' : 'RepoDeactivated'
}
