import { importPrivateKey, type PrivateKey } from '@skywright/identity/keys'
import {
  createMemoryRepoStore,
  createTidClock,
  Repo,
  type Cid,
  type Commit,
  type RepoStore,
  type RepoWrite,
  type TidClock,
} from '@skywright/repo'
import { encodeEvent } from '../codec.ts'
import { createMemoryEventLog } from '../event-log/memory.ts'
import type { TransactionalEventLog } from '../event-log/port.ts'
import { commitEvent, type CommitEvent, type IdentityEvent, type RepoEvent } from '../event.ts'
import type { AccountIdentity, IdentitySource } from '../verify/identity.ts'
import { commitCar } from './commit-blocks.ts'
import { createLoopback, type Loopback } from './loopback.ts'
import { createRandom, type Random } from './random.ts'

export interface SimulationOptions {
  /** The same seed gives the same network, keys and events. @defaultValue 1 */
  readonly seed?: number
  /** @defaultValue 1 */
  readonly hosts?: number
  /** @defaultValue 8 */
  readonly accounts?: number
  /** Milliseconds since 1970. @defaultValue a clock that moves one millisecond with every reading, from 2027 on */
  readonly now?: () => number
}

/** A PDS: repositories, and the log of what it sends. */
export interface SimulatedHost {
  readonly hostname: string
  /** `https://…` */
  readonly url: string
  readonly log: TransactionalEventLog
  readonly store: RepoStore
}

/** An account with its key and its repository. */
export interface SimulatedAccount {
  readonly did: string
  key: PrivateKey
  host: SimulatedHost
  repo: Repo
  /** Where its repository lies: it moves with the account. */
  readonly store: RepoStore
  active: boolean
  /** Paths of its records. */
  readonly paths: string[]
}

/**
 * Share of operations in production: creates 95.5 %, deletes 3.9 %, updates 0.6 %; identity events 0.061 % of events
 * (180 s of the public network, as jetstream's simulator states it).
 */
const DELETE_SHARE = 0.039
const UPDATE_SHARE = 0.006
const IDENTITY_SHARE = 0.000_61
/** Share of commits with more than one operation. */
const BATCH_SHARE = 0.05

const COLLECTIONS = [
  'app.bsky.feed.like',
  'app.bsky.feed.like',
  'app.bsky.feed.like',
  'app.bsky.feed.like',
  'app.bsky.feed.post',
  'app.bsky.feed.repost',
  'app.bsky.graph.follow',
] as const

/** PDSes with accounts, keys and real signed commits in memory, repeatable from a seed. */
export class SimulatedNetwork {
  readonly random: Random
  readonly now: () => number
  readonly hosts: readonly SimulatedHost[]
  readonly accounts: SimulatedAccount[] = []
  /** Streams of the hosts without sockets. */
  readonly loopback: Loopback
  readonly clock: TidClock
  private rkey = 0

  /** Makes the network; accounts have their first commit already, which was sent. */
  static async create(options: SimulationOptions = {}): Promise<SimulatedNetwork> {
    const network = new SimulatedNetwork(options)
    const { accounts = 8 } = options
    for (let i = 0; i < accounts; i++) await network.addAccount()
    return network
  }

  private constructor({ seed = 1, hosts = 1, now }: SimulationOptions) {
    this.random = createRandom(seed)
    let ticks = 0
    this.now = now ?? (() => Date.UTC(2027, 0, 1) + ticks++)
    this.clock = createTidClock({ now: this.now, clockId: seed % 1024 })
    this.hosts = Array.from({ length: hosts }, (_, i) => ({
      hostname: `pds${String(i)}.test`,
      url: `https://pds${String(i)}.test`,
      log: createMemoryEventLog(),
      store: createMemoryRepoStore(),
    }))
    this.loopback = createLoopback(Object.fromEntries(this.hosts.map(({ url, log }) => [url, log])))
  }

  /** A new account: `#identity`, `#account` and its first commit are sent. */
  async addAccount(host: SimulatedHost = this.random.pick(this.hosts)): Promise<SimulatedAccount> {
    const did = `did:plc:${this.text(24)}`
    const key = this.newKey()
    const { repo, commit } = await Repo.create(host.store, { did, signer: key, clock: this.clock })
    const { store } = host
    const account = { did, key, host, repo, store, active: true, paths: [] }
    this.accounts.push(account)
    await this.send(account, this.identityEvent(account))
    await this.send(account, this.accountEvent(account))
    await this.send(account, this.commitEvent(commit))
    return account
  }

  /** A new private key, of either curve. */
  newKey(): PrivateKey {
    const secret = this.random.bytes(32)
    // Keeps the number below the order of both curves.
    secret[0] = 1
    return importPrivateKey(this.random.chance(0.95) ? 'k256' : 'p256', secret)
  }

  /** Makes a commit of the production mix, without sending it. */
  async write(account: SimulatedAccount): Promise<CommitEvent> {
    const count = this.random.chance(BATCH_SHARE) ? 2 + this.random.integer(4) : 1
    const writes: RepoWrite[] = []
    const touched = new Set<string>()
    for (let i = 0; i < count; i++) {
      const write = this.randomWrite(account, touched)
      if (write !== undefined) writes.push(write)
    }
    return await this.apply(account, writes)
  }

  /** Applies these writes, without sending the commit. */
  async apply(account: SimulatedAccount, writes: readonly RepoWrite[]): Promise<CommitEvent> {
    const { commit } = await account.repo.applyWrites(writes)
    if (commit === undefined) throw new Error('the writes changed nothing')
    for (const { action, path } of commit.ops) {
      if (action === 'create') account.paths.push(path)
      if (action === 'delete') account.paths.splice(account.paths.indexOf(path), 1)
    }
    return this.commitEvent(commit)
  }

  /** One event of the production mix, made and sent. */
  async step(account: SimulatedAccount = this.random.pick(this.accounts)): Promise<RepoEvent> {
    const event = this.random.chance(IDENTITY_SHARE)
      ? this.identityEvent(account)
      : await this.write(account)
    const seq = await this.send(account, event)
    return { ...event, seq }
  }

  /** A new signing key; the account says so with `#identity` and a fresh commit under a higher rev. */
  async rotateKey(account: SimulatedAccount): Promise<void> {
    account.key = this.newKey()
    const { did, key, store } = account
    account.repo = await Repo.open(store, { did, signer: key, clock: this.clock })
    await this.send(account, this.identityEvent(account))
    const commit = await account.repo.resign()
    await this.send(account, this.syncEvent(account, commit.rev, commit.bytes, commit.cid))
  }

  /** Moves an account with its repository to another host. @returns what that host has to send. */
  migrate(account: SimulatedAccount): IdentityEvent {
    const elsewhere = this.hosts.filter((host) => host !== account.host)
    if (elsewhere.length === 0) throw new Error('there is no other host')
    account.host = this.random.pick(elsewhere)
    return this.identityEvent(account)
  }

  /** What stands in an account's DID document. Keys and hosts are looked up afresh only by `resolve`. */
  identitySource(): IdentitySource & { readonly resolutions: number } {
    const cache = new Map<string, AccountIdentity>()
    let resolutions = 0
    return {
      get resolutions() {
        return resolutions
      },
      peek: (did) => cache.get(did),
      purge: (did) => {
        cache.delete(did)
      },
      resolve: (did) => {
        resolutions++
        const account = this.accounts.find((one) => one.did === did)
        if (account === undefined) return Promise.reject(new Error(`no such account; did=${did}`))
        const identity = { signingKey: account.key.publicKey, pds: account.host.url }
        cache.set(did, identity)
        return Promise.resolve(identity)
      },
    }
  }

  /** Sends an event from a host; gives its number there. */
  async send(account: Pick<SimulatedAccount, 'did' | 'host'>, event: RepoEvent): Promise<number> {
    return await this.sendBytes(account, (seq) => encodeEvent(event, seq))
  }

  /** Sends any bytes. */
  async sendBytes(
    { did, host }: Pick<SimulatedAccount, 'did' | 'host'>,
    encode: (seq: number) => Uint8Array,
  ): Promise<number> {
    const [seq] = await host.log.publish([{ did, encode }])
    return seq ?? 0
  }

  commitEvent(commit: Commit): CommitEvent {
    return commitEvent(commit, this.time())
  }

  identityEvent({ did }: SimulatedAccount): IdentityEvent {
    return { type: 'identity', seq: 0, did, time: this.time() }
  }

  accountEvent({ did, active }: SimulatedAccount, status?: string): RepoEvent {
    return {
      type: 'account',
      seq: 0,
      did,
      active,
      ...(status === undefined ? {} : { status }),
      time: this.time(),
    }
  }

  syncEvent({ did }: SimulatedAccount, rev: string, block: Uint8Array, cid: Cid): RepoEvent {
    return { type: 'sync', seq: 0, did, rev, blocks: commitCar(cid, block), time: this.time() }
  }

  time(): string {
    return new Date(this.now()).toISOString()
  }

  /** Base32 text. */
  text(length: number): string {
    const alphabet = 'abcdefghijklmnopqrstuvwxyz234567'
    return Array.from({ length }, () => alphabet[this.random.integer(32)]).join('')
  }

  /** A record of the collection. */
  record(collection: string): Record<string, unknown> {
    return {
      $type: collection,
      text: this.text(20 + this.random.integer(200)),
      createdAt: this.time(),
    }
  }

  private randomWrite(account: SimulatedAccount, touched: Set<string>): RepoWrite | undefined {
    const roll = this.random.next()
    const existing = account.paths.filter((path) => !touched.has(path))
    if (existing.length > 0 && roll < DELETE_SHARE + UPDATE_SHARE) {
      const path = this.random.pick(existing)
      touched.add(path)
      const [collection = '', rkey = ''] = path.split('/')
      return roll < DELETE_SHARE
        ? { action: 'delete', collection, rkey }
        : { action: 'update', collection, rkey, record: this.record(collection) }
    }
    const collection = this.random.pick(COLLECTIONS)
    const rkey = `${this.text(6)}${String(this.rkey++)}`
    touched.add(`${collection}/${rkey}`)
    return { action: 'create', collection, rkey, record: this.record(collection) }
  }
}
