import { accountStatus, type AccountRecord } from '@skywright/firehose/relay'

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
