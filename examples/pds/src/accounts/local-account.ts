import { ForbiddenError, InvalidRequestError } from '@skywright/xrpc'
import type { Session } from '../sessions/auth.ts'
import type { Account, AccountStore } from './account-store.ts'

/** The account that `repo` (a DID or a handle) names, `undefined` when it does not live here. */
export function getLocalAccount(accounts: AccountStore, repo: string): Account | undefined {
  const account = repo.startsWith('did:') ? accounts.getByDid(repo) : accounts.getByHandle(repo)
  return account === undefined || account.status === 'pending' ? undefined : account
}

/** An account that must be there; its absence is a fault of the server. */
export function requireLocalAccount(accounts: AccountStore, did: string): Account {
  const account = accounts.getByDid(did)
  if (account === undefined) throw new Error(`account vanished; did=${did}`)
  return account
}

/**
 * The account whose repo the caller wants to write: their own, by DID or handle.
 *
 * @throws {ForbiddenError} when `repo` names somebody else.
 */
export function requireOwnRepo({ account }: Session, repo: string): Account {
  if (repo === account.did || repo.toLowerCase() === account.handle) return account
  throw new ForbiddenError('only the own repository can be written')
}

/**
 * The account whose content a caller wants to read. Content of inactive accounts is shown to their
 * owner alone.
 *
 * @throws {InvalidRequestError} `RepoNotFound`, `RepoTakendown`, `RepoSuspended` or `RepoDeactivated`.
 */
export function requireReadableRepo(
  accounts: AccountStore,
  repo: string,
  session?: Session,
): Account {
  const account = getLocalAccount(accounts, repo)
  if (account === undefined) {
    throw new InvalidRequestError(`Could not find repo: ${repo}`, { error: 'RepoNotFound' })
  }
  const error = UNREADABLE[account.status]
  if (error === undefined || session?.account.did === account.did) return account
  throw new InvalidRequestError(`Repo is not available: ${account.did}`, { error })
}

const UNREADABLE: Partial<Record<Account['status'], string>> = {
  takendown: 'RepoTakendown',
  suspended: 'RepoSuspended',
  deactivated: 'RepoDeactivated',
}
