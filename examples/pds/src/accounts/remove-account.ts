import type { DatabaseSync } from 'node:sqlite'
import type { BlobStore } from '../blobs/blob-store.ts'
import { transact } from '../database.ts'
import type { PreferenceStore } from '../preferences.ts'
import type { RepoHost } from '../repos/repo-host.ts'
import type { AppPasswordStore } from '../sessions/app-password-store.ts'
import type { SessionStore } from '../sessions/session-store.ts'
import type { Account, AccountStore } from './account-store.ts'
import type { ConfirmationStore } from './confirmation-store.ts'

/** Removes everything kept about an account but its repo. */
export type ForgetAccount = (account: Pick<Account, 'did' | 'id'>) => Promise<void>

/** Makes it. What belongs together goes together; files that a crash leaves are swept up later. */
export function createForgetAccount(stores: {
  readonly database: DatabaseSync
  readonly accounts: AccountStore
  readonly sessions: SessionStore
  readonly appPasswords: AppPasswordStore
  readonly preferences: PreferenceStore
  readonly confirmations: ConfirmationStore
  readonly blobs: BlobStore
}): ForgetAccount {
  const { database, accounts, sessions, appPasswords, preferences, confirmations, blobs } = stores
  return async ({ did, id }) => {
    transact(database, () => {
      sessions.revokeAll(did)
      appPasswords.removeAll(did)
      preferences.remove(did)
      confirmations.remove(did)
      accounts.remove(did)
    })
    await blobs.removeAll(did, id)
  }
}

/**
 * Deletes an account for good: its repo together with the last event about it, `#account` with status
 * `deleted`, then all else. A crash in between leaves a deactivated account, which its owner can delete
 * again or, once its repo is gone, the next start removes.
 */
export async function removeAccount(
  account: Account,
  {
    accounts,
    repos,
    forget,
  }: {
    readonly accounts: AccountStore
    readonly repos: RepoHost
    readonly forget: ForgetAccount
  },
): Promise<void> {
  const { did } = account
  // Behind every write under way, and ahead of none: the ones that wait find no active account.
  await repos.exclusively(did, async () => {
    accounts.setStatus(did, 'deactivated')
    await repos.remove(did)
    await forget(account)
  })
}
