import { cidForCbor, formatTid } from '@skywright/repo'
import { encodeCbor } from '@skywright/repo/cbor'

import type {
  EventSource,
  IndexCommitEvent,
  IndexEvent,
  IndexOp,
  RepoFetcher,
  RepoSnapshot,
  SnapshotRecord,
} from '../event.ts'
import { formatRecordUri } from '../target.ts'

/** One write of a fabricated commit. Without `rkey` a create gets the next TID. */
export type FakeWrite =
  | {
      readonly action?: 'create' | 'update'
      readonly collection: string
      readonly rkey?: string
      readonly record: Readonly<Record<string, unknown>>
    }
  | { readonly action: 'delete'; readonly collection: string; readonly rkey: string }

/** A fabricated account: keeps its records, emits the events a verified firehose would. */
export interface FakeAccount {
  readonly did: string
  /** Commits writes as one event; answers the at-uris of the records written. */
  commit(...writes: readonly FakeWrite[]): readonly string[]
  /** Commits one new record; answers its at-uri. */
  create(collection: string, record: Readonly<Record<string, unknown>>, rkey?: string): string
  update(uri: string, record: Readonly<Record<string, unknown>>): void
  delete(uri: string): void
  /** Emits an account event. */
  setStatus(active: boolean, status?: string): void
  setHandle(handle: string | null): void
  /** Changes records with a `#sync` instead of commits, as after an import. */
  replaceSilently(records: readonly FakeWrite[]): void
  snapshot(): RepoSnapshot
  readonly rev: string | undefined
}

/** A network in memory: plain records in, events and snapshots out, in microseconds. Deterministic: time is a counter. */
export interface FakeNetwork {
  /** Everything that happened, in order. */
  readonly events: readonly IndexEvent[]
  account(did?: string): FakeAccount
  readonly accounts: readonly FakeAccount[]
  /** The events as a source that ends after the last one. */
  source(name?: string): EventSource
  /** Answers snapshots of its accounts, and `RepoNotFound` for others. */
  readonly fetchRepo: RepoFetcher
  /** Unix milliseconds of the network's clock; later than every rev. */
  now(): number
}

/** First microsecond of a fabricated network: 2026-01-01. */
const EPOCH_MICROS = 1_767_225_600_000_000

/** Makes an empty network. */
export function createFakeNetwork(): FakeNetwork {
  const events: IndexEvent[] = []
  const accounts: FakeAccount[] = []
  let micros = EPOCH_MICROS
  const clock: Clock = {
    nextTid: () => {
      micros += 1_000
      return formatTid({ timestampMicros: BigInt(micros), clockId: 0 })
    },
    emit: (event) => {
      events.push({ ...event, seq: events.length + 1 } as IndexEvent)
    },
  }
  const byDid = new Map<string, FakeAccount>()
  return {
    events,
    accounts,
    account: (did = `did:plc:${String(accounts.length + 1).padStart(24, 'a')}`) => {
      const account = createAccount(did, clock)
      accounts.push(account)
      byDid.set(did, account)
      return account
    },
    source: (name = 'memory:') => memorySource(name, events),
    fetchRepo: async (did) => {
      const account = byDid.get(did)
      if (account?.rev === undefined) return { kind: 'status', active: false, status: 'deleted' }
      return { kind: 'snapshot', snapshot: account.snapshot() }
    },
    now: () => Math.ceil(micros / 1000),
  }
}

/** A source over events at hand: everything after the cursor, then it ends. */
export function memorySource(name: string, events: readonly IndexEvent[]): EventSource {
  return {
    name,
    async *events({ cursor = 0, signal }) {
      for (const event of events) {
        if (signal.aborted) return
        if (event.seq > cursor) yield event
      }
    },
  }
}

/** A record as the indexer gets it: canonical bytes and binary CID. */
export function fabricateRecord(
  collection: string,
  rkey: string,
  record: Readonly<Record<string, unknown>>,
): SnapshotRecord {
  const bytes = encodeCbor({ $type: collection, ...record })
  return { collection, rkey, record: bytes, cid: cidForCbor(bytes).bytes }
}

interface Clock {
  nextTid(): string
  emit(event: Omit<IndexEvent, 'seq'>): void
}

function createAccount(did: string, clock: Clock): FakeAccount {
  const records = new Map<string, SnapshotRecord>()
  let rev: string | undefined
  const write = (writes: readonly FakeWrite[]): { ops: IndexOp[]; uris: string[] } => {
    const ops: IndexOp[] = []
    const uris: string[] = []
    for (const item of writes) {
      const rkey = item.rkey ?? clock.nextTid()
      const key = `${item.collection}/${rkey}`
      if (item.action === 'delete') {
        records.delete(key)
        ops.push({ action: 'delete', collection: item.collection, rkey })
        continue
      }
      const made = fabricateRecord(item.collection, rkey, item.record)
      const action = records.has(key) ? 'update' : 'create'
      records.set(key, made)
      ops.push({ action, collection: item.collection, rkey, cid: made.cid, record: made.record })
      uris.push(formatRecordUri(did, item.collection, rkey))
    }
    return { ops, uris }
  }
  const account: FakeAccount = {
    did,
    get rev() {
      return rev
    },
    commit: (...writes) => {
      const { ops, uris } = write(writes)
      const since = rev ?? null
      rev = clock.nextTid()
      clock.emit({ type: 'commit', did, rev, since, ops } as Omit<IndexCommitEvent, 'seq'>)
      return uris
    },
    create: (collection, record, rkey) =>
      account.commit({ collection, record, ...(rkey === undefined ? {} : { rkey }) })[0] ?? '',
    update: (uri, record) => {
      const { collection, rkey } = partsOf(uri)
      account.commit({ action: 'update', collection, rkey, record })
    },
    delete: (uri) => {
      const { collection, rkey } = partsOf(uri)
      account.commit({ action: 'delete', collection, rkey })
    },
    setStatus: (active, status) => {
      clock.emit({
        type: 'account',
        did,
        active,
        ...(status === undefined ? {} : { status }),
      } as Omit<IndexEvent, 'seq'>)
    },
    setHandle: (handle) => {
      clock.emit({ type: 'identity', did, handle } as Omit<IndexEvent, 'seq'>)
    },
    replaceSilently: (writes) => {
      records.clear()
      write(writes)
      rev = clock.nextTid()
      clock.emit({ type: 'sync', did, rev } as Omit<IndexEvent, 'seq'>)
    },
    snapshot: () => {
      if (rev === undefined) throw new TypeError('the account has no commit yet')
      return { did, rev, records: [...records.values()] }
    },
  }
  return account
}

function partsOf(uri: string): { collection: string; rkey: string } {
  const [, , , collection = '', rkey = ''] = uri.split('/')
  return { collection, rkey }
}
