import { commitEvent, encodeEvent, type EventLog } from '@skywright/firehose'
import { importPrivateKey } from '@skywright/identity/keys'
import {
  Repo,
  type Commit,
  type CommitEvents,
  type EventEncoder,
  type RepoStore,
  type TidClock,
} from '@skywright/repo'
import type { Account } from '../accounts/account-store.ts'
import { createKeyedQueue, type KeyedQueue } from './keyed-queue.ts'

/** Repos kept open, with what they remember of their trees. */
const MAX_OPEN_REPOS = 1_000

/** The repositories of this server. Every commit and its event are one transaction of the store. */
export interface RepoHost {
  readonly store: RepoStore
  /** The account's repo, ready to be written. */
  open(account: Account): Promise<Repo>
  /** Creates an account's empty repo and announces the account: `#identity`, `#account`, `#commit`. */
  create(account: Account): Promise<Commit>
  /** Runs work while no other work of the account runs. */
  readonly exclusively: KeyedQueue
  /** Announces that the account's identity may have changed. */
  announceIdentity(account: Pick<Account, 'did' | 'handle'>): Promise<void>
  /** Announces the account's state. */
  announceStatus(
    did: string,
    status: { readonly active: boolean; readonly status?: string },
  ): Promise<void>
  /** Forgets an open repo, after its key or store content changed underneath. */
  close(did: string): void
}

export interface RepoHostOptions {
  readonly store: RepoStore
  readonly log: EventLog
  readonly clock: TidClock
  readonly now: () => number
  /** Told after each event was published. */
  readonly onPublished: () => void
}

/** Makes the host. */
export function createRepoHost(options: RepoHostOptions): RepoHost {
  const { store, log, clock, now, onPublished } = options
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
  const statusEvent = (
    did: string,
    status: { readonly active: boolean; readonly status?: string },
  ): EventEncoder => {
    const at = time()
    return (seq) => encodeEvent({ type: 'account', seq, did, ...status, time: at }, seq)
  }
  const publish = async (did: string, encode: EventEncoder): Promise<void> => {
    await log.publish([{ did, encode }])
    onPublished()
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
    async create(account) {
      // The repo object is let go: only the first commit announces the account, and it would repeat that.
      const { commit } = await Repo.create(store, {
        did: account.did,
        signer: signer(account),
        clock,
        events: (first) => [
          identityEvent(account),
          statusEvent(account.did, { active: true }),
          encodeCommit(first),
        ],
      })
      onPublished()
      return commit
    },
    announceIdentity: (account) => publish(account.did, identityEvent(account)),
    announceStatus: (did, status) => publish(did, statusEvent(did, status)),
    close: (did) => void repos.delete(did),
  }
}
