import { cidKey, type CidKey, equalCids } from '../cid.ts'
import { HeadMovedError } from '../errors.ts'
import type {
  Block,
  EventEncoder,
  EventSink,
  ListRecordsOptions,
  PageOptions,
  RecordKey,
  RecordPut,
  RepoChange,
  RepoHead,
  RepoSnapshot,
  RepoStage,
  RepoStore,
  StagedChange,
  StoredNode,
  StoredRecord,
} from '../repo-store.ts'

/** Options of {@link createMemoryRepoStore}. */
export interface MemoryRepoStoreOptions {
  /** Where events of commits go. @defaultValue none: a change with events is refused */
  readonly events?: EventSink
}

interface MemoryRecord extends StoredRecord {
  readonly blobs: readonly string[]
}

interface MemoryRepo {
  head: RepoHead
  readonly nodes: Map<CidKey, StoredNode>
  /** Collection → rkey → record. */
  readonly collections: Map<string, Map<string, MemoryRecord>>
}

/** Gives a store that lives in memory: for tests, sandboxes and short-lived tools. Snapshots copy the repo's index. */
export function createMemoryRepoStore(options: MemoryRepoStoreOptions = {}): RepoStore {
  return new MemoryRepoStore(options.events)
}

class MemoryRepoStore implements RepoStore {
  private readonly repos = new Map<string, MemoryRepo>()
  /** The stage of an account that was opened last. */
  private readonly stages = new Map<string, symbol>()
  private readonly events: EventSink | undefined

  constructor(events: EventSink | undefined) {
    this.events = events
  }

  async getHead(did: string): Promise<RepoHead | undefined> {
    return this.repos.get(did)?.head
  }

  async getNodes(
    did: string,
    cids: RepoChange['deleteNodes'],
  ): Promise<readonly (StoredNode | undefined)[]> {
    const nodes = this.repos.get(did)?.nodes
    return cids.map((cid) => nodes?.get(cidKey(cid)))
  }

  async getRecord(
    did: string,
    collection: string,
    rkey: string,
  ): Promise<StoredRecord | undefined> {
    return this.repos.get(did)?.collections.get(collection)?.get(rkey)
  }

  async listRecords(
    did: string,
    collection: string,
    options: ListRecordsOptions = {},
  ): Promise<readonly StoredRecord[]> {
    const { limit = 50, cursor, reverse = false } = options
    const records = this.repos.get(did)?.collections.get(collection)
    if (records === undefined) return []
    const keys = [...records.keys()].toSorted(compareText)
    if (reverse) keys.reverse()
    const beyond =
      cursor === undefined ? keys : keys.filter((rkey) => (reverse ? rkey < cursor : rkey > cursor))
    return beyond.slice(0, limit).flatMap((rkey) => records.get(rkey) ?? [])
  }

  async listCollections(did: string): Promise<readonly string[]> {
    return [...(this.repos.get(did)?.collections.keys() ?? [])].toSorted(compareText)
  }

  async countRecords(did: string): Promise<number> {
    let count = 0
    for (const records of this.repos.get(did)?.collections.values() ?? []) count += records.size
    return count
  }

  async listBlobs(
    did: string,
    options: PageOptions & { readonly since?: string } = {},
  ): Promise<readonly string[]> {
    const { limit = 500, cursor = '', since = '' } = options
    const found = new Set<string>()
    for (const record of this.records(did)) {
      if (record.rev > since) for (const blob of record.blobs) found.add(blob)
    }
    return [...found]
      .toSorted(compareText)
      .filter((blob) => blob > cursor)
      .slice(0, limit)
  }

  async blobReferences(did: string, blob: RepoHead['commit']): Promise<readonly RecordKey[]> {
    const text = blob.toString()
    return [...this.records(did)]
      .filter(({ blobs }) => blobs.includes(text))
      .map(({ collection, rkey }) => ({ collection, rkey }))
      .toSorted((a, b) => compareText(a.collection, b.collection) || compareText(a.rkey, b.rkey))
  }

  private *records(did: string): Generator<MemoryRecord, void, void> {
    for (const records of this.repos.get(did)?.collections.values() ?? []) yield* records.values()
  }

  async listHeads(options: PageOptions = {}): Promise<readonly RepoHead[]> {
    const { limit = 500, cursor = '' } = options
    return [...this.repos.keys()]
      .toSorted(compareText)
      .filter((did) => did > cursor)
      .slice(0, limit)
      .flatMap((did) => this.repos.get(did)?.head ?? [])
  }

  async snapshot(did: string): Promise<RepoSnapshot | undefined> {
    const repo = this.repos.get(did)
    if (repo === undefined) return undefined
    const nodes = new Map(repo.nodes)
    const collections = new Map(
      [...repo.collections].map(([name, records]) => [name, new Map(records)]),
    )
    return {
      head: repo.head,
      getNodes: async (cids) => cids.map((cid) => nodes.get(cidKey(cid))),
      getRecords: async (keys) =>
        keys.map(({ collection, rkey }) => collections.get(collection)?.get(rkey)),
      close: async () => {
        nodes.clear()
        collections.clear()
      },
    }
  }

  async commit(change: RepoChange): Promise<void> {
    const { did, previous, head, events } = change
    const current = this.expect(did, previous)
    const repo = current ?? { head, nodes: new Map(), collections: new Map() }
    this.append(did, events)
    this.apply(repo, change)
    this.repos.set(did, repo)
    if (events !== undefined && events.length > 0) this.events?.committed()
  }

  /** Gives the repo that is to be changed. @throws {HeadMovedError} when its head is another. */
  private expect(did: string, previous: RepoChange['previous']): MemoryRepo | undefined {
    const repo = this.repos.get(did)
    const expected =
      previous === null
        ? repo === undefined
        : repo !== undefined && equalCids(repo.head.commit, previous)
    if (!expected) throw new HeadMovedError(did)
    return repo
  }

  stage(did: string): RepoStage {
    const waiting = new Map<CidKey, Uint8Array>()
    const mine = Symbol(did)
    const content: { nodes: Block[]; records: RecordPut[] } = { nodes: [], records: [] }
    this.stages.set(did, mine)
    const check = (): void => {
      if (this.stages.get(did) !== mine) throw new HeadMovedError(did)
    }
    return {
      putBlocks: async (blocks) => {
        for (const { cid, bytes } of blocks) waiting.set(cidKey(cid), bytes)
      },
      getBlocks: async (cids) => cids.map((cid) => waiting.get(cidKey(cid))),
      put: async (nodes, records) => {
        check()
        for (const node of nodes) content.nodes.push(node)
        for (const record of records) content.records.push(record)
      },
      commit: async (change) => {
        check()
        this.commitStage(did, change, content.nodes, content.records)
        this.stages.delete(did)
      },
      close: async () => {
        if (this.stages.get(did) === mine) this.stages.delete(did)
        waiting.clear()
        content.nodes = []
        content.records = []
      },
    }
  }

  private commitStage(
    did: string,
    change: StagedChange,
    nodes: readonly Block[],
    records: readonly RecordPut[],
  ): void {
    const { previous, head, events } = change
    this.expect(did, previous)
    this.append(did, events)
    const repo: MemoryRepo = { head, nodes: new Map(), collections: new Map() }
    const none = { deleteNodes: [], deleteRecords: [] }
    this.apply(repo, { head, putNodes: nodes, putRecords: records, ...none })
    this.apply(repo, { head, putNodes: change.putNodes, putRecords: change.putRecords, ...none })
    this.repos.set(did, repo)
    if (events !== undefined && events.length > 0) this.events?.committed()
  }

  /** Appends events first: the one step that can fail. */
  private append(did: string, events: readonly EventEncoder[] = []): void {
    if (events.length === 0) return
    if (this.events === undefined) throw new TypeError('the store was opened without an event sink')
    try {
      for (const encode of events) this.events.append(did, encode)
    } catch (error) {
      this.events.rolledBack()
      throw error
    }
  }

  private apply(repo: MemoryRepo, change: Omit<RepoChange, 'did' | 'previous' | 'events'>): void {
    const { head } = change
    repo.head = head
    for (const cid of change.deleteNodes) repo.nodes.delete(cidKey(cid))
    for (const { cid, bytes } of change.putNodes)
      repo.nodes.set(cidKey(cid), { bytes, rev: head.rev })
    for (const { collection, rkey } of change.deleteRecords) {
      const records = repo.collections.get(collection)
      records?.delete(rkey)
      if (records?.size === 0) repo.collections.delete(collection)
    }
    for (const { collection, rkey, cid, bytes, blobs } of change.putRecords) {
      let records = repo.collections.get(collection)
      if (records === undefined) repo.collections.set(collection, (records = new Map()))
      records.set(rkey, { collection, rkey, cid, bytes, rev: head.rev, blobs: blobs.map(String) })
    }
  }

  async deleteRepo(
    did: string,
    options: { readonly events?: readonly EventEncoder[] } = {},
  ): Promise<boolean> {
    this.stages.delete(did)
    if (!this.repos.has(did)) return false
    this.append(did, options.events)
    this.repos.delete(did)
    if (options.events !== undefined && options.events.length > 0) this.events?.committed()
    return true
  }

  async close(): Promise<void> {
    this.repos.clear()
  }
}

function compareText(a: string, b: string): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}
