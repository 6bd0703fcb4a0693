import {
  commitEvent,
  createMemoryEventLog,
  encodeEvent,
  type RepoEvent,
  serveEvents,
} from '@skywright/firehose'
import { generatePrivateKey, type PrivateKey } from '@skywright/identity/keys'
import type { MemoryResolver } from '@skywright/identity/testing'
import { cidForRaw, Repo, type RepoStore, type RepoWrite } from '@skywright/repo'
import { createMemoryRepoStore } from '@skywright/repo/testing'
import { createRouter, InvalidRequestError, reply } from '@skywright/xrpc'
import { atproto } from '@skywright/xrpc/lexicons'
import { type NodeServer, serveNode } from '@skywright/xrpc/node'
import { attachSubscriptions } from '@skywright/xrpc/ws'

export interface Resident {
  readonly did: string
  readonly handle: string
  readonly key: PrivateKey
  readonly repo: Repo
}

/** A PDS with real repositories, signatures, events and sockets, and no more than an AppView asks of one. */
export class SmallPds implements AsyncDisposable {
  readonly blobs: Map<string, Uint8Array> = new Map()
  readonly residents: Map<string, Resident> = new Map()
  /** What `getRepo` refuses, by DID. */
  readonly refusals: Map<string, string> = new Map()
  /** DIDs asked for by `getRepo`, in order. */
  readonly fetched: string[] = []
  /** Requests for blobs. */
  blobRequests = 0
  readonly #log = createMemoryEventLog()
  readonly #store: RepoStore = createMemoryRepoStore({ events: this.#log })
  readonly #resolver: MemoryResolver | undefined
  #server: NodeServer | undefined

  constructor(resolver?: MemoryResolver) {
    this.#resolver = resolver
  }

  get url(): string {
    if (this.#server === undefined) throw new TypeError('not listening')
    return this.#server.url
  }

  /** Highest sequence number given out. */
  get seq(): number {
    return this.#log.bounds().last
  }

  async listen(): Promise<this> {
    const router = createRouter({ lexicons: atproto })
      .add('com.atproto.sync.subscribeRepos', {
        handler: ({ params: { cursor }, signal }) => serveEvents(this.#log, { cursor, signal }),
      })
      .add('com.atproto.sync.listRepos', {
        handler: async ({ params: { limit, cursor } }) => {
          const heads = await this.#store.listHeads({
            limit,
            ...(cursor === undefined ? {} : { cursor }),
          })
          const repos = heads.map(({ did, rev, commit }) => ({
            did,
            rev,
            head: commit.toString(),
            active: true,
          }))
          const last = repos.at(-1)
          return { repos, ...(last === undefined ? {} : { cursor: last.did }) }
        },
      })
      .add('com.atproto.sync.getRepo', {
        handler: ({ params: { did } }) => {
          this.fetched.push(did)
          const refusal = this.refusals.get(did)
          if (refusal !== undefined) throw new InvalidRequestError('no', { error: refusal })
          const resident = this.residents.get(did)
          if (resident === undefined)
            throw new InvalidRequestError('no repo', { error: 'RepoNotFound' })
          return reply(resident.repo.export(), { encoding: 'application/vnd.ipld.car' })
        },
      })
      .add('com.atproto.sync.getBlob', {
        handler: ({ params: { cid } }) => {
          this.blobRequests++
          const bytes = this.blobs.get(cid)
          if (bytes === undefined)
            throw new InvalidRequestError('no blob', { error: 'BlobNotFound' })
          return reply(bytes, { encoding: 'text/html' })
        },
      })
    this.#server = await serveNode(router, {
      attach: (server) => attachSubscriptions(server, router),
    })
    return this
  }

  /** Creates an account: identity, empty repository, first events. */
  async account(name: string, id: number = this.residents.size): Promise<Resident> {
    const digits = String(id)
      .padStart(8, '2')
      .replaceAll(/[^2-7]/g, (digit) => 'abcdefghij'[Number(digit)] ?? 'k')
    const label = name.replaceAll(/[^a-z2-7]/g, 'x')
    const did = `did:plc:${label.padEnd(16, 'a').slice(0, 16)}${digits}`
    const key = generatePrivateKey('k256')
    const handle = `${name}.test`
    this.#resolver?.setAccount({ did, handle, signingKey: key.publicKey, pds: this.url })
    await this.announce({ type: 'identity', seq: 0, did, handle, time: now() })
    await this.announce({ type: 'account', seq: 0, did, active: true, time: now() })
    const { repo } = await Repo.create(this.#store, {
      did,
      signer: key,
      events: (commit) => [(seq) => encodeEvent(commitEvent(commit, now()), seq)],
    })
    const resident = { did, handle, key, repo }
    this.residents.set(did, resident)
    return resident
  }

  /** Creates records, each in a commit of its own. Gives their at-uris. */
  async create(
    { did, repo }: Resident,
    collection: string,
    ...records: readonly object[]
  ): Promise<string[]> {
    const uris: string[] = []
    for (const record of records) {
      const rkey = `r${String(this.seq).padStart(8, '0')}`
      const value = { $type: collection, createdAt: now(), ...record }
      await repo.applyWrites([{ action: 'create', collection, rkey, record: value }])
      uris.push(`at://${did}/${collection}/${rkey}`)
    }
    return uris
  }

  async write({ repo }: Resident, ...writes: readonly RepoWrite[]): Promise<void> {
    await repo.applyWrites(writes)
  }

  /** Puts an event on the stream as it is. */
  async announce(event: RepoEvent): Promise<void> {
    await this.#log.publish([{ did: event.did, encode: (seq) => encodeEvent(event, seq) }])
  }

  /** Forgets all events so far, as a PDS does after its retention. */
  async forgetEvents(): Promise<void> {
    await this.#log.trim({ maxBytes: 0 })
  }

  /** Keeps a blob and gives its CID. */
  putBlob(bytes: Uint8Array): string {
    const cid = cidForRaw(bytes).toString()
    this.blobs.set(cid, bytes)
    return cid
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server?.[Symbol.asyncDispose]()
    await this.#log[Symbol.asyncDispose]()
    await this.#store.close()
  }
}

function now(): string {
  return new Date().toISOString()
}
