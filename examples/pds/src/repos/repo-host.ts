import type { DatabaseSync } from 'node:sqlite'
import { commitEvent, encodeEvent } from '@skywright/firehose'
import { importPrivateKey } from '@skywright/identity/keys'
import {
  encodeCar,
  importRepo,
  Repo,
  type Commit,
  type CommitEvents,
  type EventEncoder,
  type EventSink,
  type RepoHead,
  type RepoStore,
  type TidClock,
} from '@skywright/repo'
import type { Account } from '../accounts/account-store.ts'
import { publicStatus } from '../accounts/account-view.ts'
import { transact } from '../database.ts'
import { createKeyedQueue, type KeyedQueue } from './keyed-queue.ts'

/** Repos kept open, with what they remember of their trees. */
const MAX_OPEN_REPOS = 128

/** The repositories of this server. Every commit and its event are one transaction of the store. */
export interface RepoHost {
  readonly store: RepoStore
  /** The account's repo, ready to be written. */
  open(account: Account): Promise<Repo>
  /**
   * Creates an account's empty repo and announces the account: `#identity`, `#account`, `#commit`. With
   * `silently` it announces nothing: an account that moves in does so when it is activated.
   */
  create(account: Account, options?: { readonly silently?: boolean }): Promise<Commit>
  /**
   * Replaces an account's repo by the content of a CAR, signed anew with the account's key here.
   *
   * @throws {RepoError} when the CAR is not a whole, valid repo of the account; nothing is changed then.
   */
  importCar(
    account: Account,
    car: AsyncIterable<Uint8Array>,
    options: { readonly maxBytes: number; readonly signal: AbortSignal },
  ): Promise<void>
  /** Runs work while no other work of the account runs. */
  readonly exclusively: KeyedQueue
  /**
   * Changes an account and announces what became of it, in one transaction. `change` makes the change and
   * gives the account as it is then. `identity` and `status` are announced on demand, `sync` for a repo
   * whose chain of commits the network has not seen.
   */
  announce(
    change: () => Account,
    events: { readonly identity?: boolean; readonly status?: boolean; readonly sync?: RepoHead },
  ): Account
  /** Deletes a repo together with the last event about its account: that it is deleted. */
  remove(did: string): Promise<void>
}

export interface RepoHostOptions {
  readonly database: DatabaseSync
  readonly store: RepoStore
  /** The sink the store appends to. */
  readonly sink: EventSink
  readonly clock: TidClock
  readonly now: () => number
}

/** Makes the host. */
export function createRepoHost(options: RepoHostOptions): RepoHost {
  const { database, store, sink, clock, now } = options
  const repos = new Map<string, Promise<Repo>>()
  const time = (): string => new Date(now()).toISOString()

  const encodeCommit = (commit: Commit): EventEncoder => {
    const event = commitEvent(commit, time())
    return (seq) => encodeEvent(event, seq)
  }
  const events: CommitEvents = (commit) => [encodeCommit(commit)]
  const identityEvent = ({ did, handle }: Pick<Account, 'did' | 'handle'>): EventEncoder => {
    const at = time()
    return (seq) => encodeEvent({ type: 'identity', seq, did, handle, time: at }, seq)
  }
  const statusEvent = (account: Pick<Account, 'did' | 'status'>): EventEncoder => {
    const { did } = account
    const at = time()
    return (seq) =>
      encodeEvent({ type: 'account', seq, did, ...publicStatus(account), time: at }, seq)
  }
  const syncEvent = ({ did, rev, commit, bytes }: RepoHead): EventEncoder => {
    const blocks = encodeCar([commit], [{ cid: commit, bytes }])
    const at = time()
    return (seq) => encodeEvent({ type: 'sync', seq, did, rev, blocks, time: at }, seq)
  }
  const signer = (account: Account): ReturnType<typeof importPrivateKey> =>
    importPrivateKey('k256', account.signingKey)

  function remember(did: string, repo: Promise<Repo>): void {
    // Re-inserting keeps the map in order of use: the first key is the longest unused.
    repos.delete(did)
    repos.set(did, repo)
    for (const oldest of repos.keys()) {
      if (repos.size <= MAX_OPEN_REPOS) break
      repos.delete(oldest)
    }
  }

  return {
    store,
    exclusively: createKeyedQueue(),
    open(account) {
      const repo =
        repos.get(account.did) ??
        Repo.open(store, { did: account.did, signer: signer(account), clock, events })
      remember(account.did, repo)
      // A repo that could not be opened must not be remembered.
      repo.catch(() => repos.delete(account.did))
      return repo
    },
    async create(account, { silently = false } = {}) {
      // The repo object is let go: only the first commit announces the account, and it would repeat that.
      const { commit } = await Repo.create(store, {
        did: account.did,
        signer: signer(account),
        clock,
        events: (first) =>
          silently ? [] : [identityEvent(account), statusEvent(account), encodeCommit(first)],
      })
      return commit
    },
    async importCar(account, car, { maxBytes, signal }) {
      const { did } = account
      try {
        await importRepo(store, car, { did, signer: signer(account), clock, maxBytes, signal })
      } finally {
        // What an open repo, opened even meanwhile to be read, remembers of its tree is wrong now.
        repos.delete(did)
      }
    },
    announce(change, { identity = false, status = false, sync }) {
      try {
        const account = transact(database, () => {
          const changed = change()
          if (identity) sink.append(changed.did, identityEvent(changed))
          if (status) sink.append(changed.did, statusEvent(changed))
          if (sync !== undefined) sink.append(changed.did, syncEvent(sync))
          return changed
        })
        sink.committed()
        return account
      } catch (error) {
        sink.rolledBack()
        throw error
      }
    },
    async remove(did) {
      const at = time()
      const deleted: EventEncoder = (seq) =>
        encodeEvent({ type: 'account', seq, did, active: false, status: 'deleted', time: at }, seq)
      repos.delete(did)
      await store.deleteRepo(did, { events: [deleted] })
      repos.delete(did)
    },
  }
}
