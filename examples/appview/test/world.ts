import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { lexicons } from '@atproto/api'
import type { IndexEvent } from '@skywright/appview-indexer'
import { generatePrivateKey, type PrivateKey } from '@skywright/identity/keys'
import { createMemoryResolver, type MemoryResolver } from '@skywright/identity/testing'
import { cidForCbor, cidForRaw, createTidClock, encodeCbor } from '@skywright/repo'
import {
  createServiceJwt,
  type MethodIds,
  type OutputOf,
  type ParamsOf,
  type ServiceJwtOptions,
} from '@skywright/xrpc'
import type { AtprotoDocuments } from '@skywright/xrpc/lexicons'
import { until } from './until.ts'
import { devConfig, startAppView, type AppView, type AppViewConfig } from '../src/index.ts'

/** An account of the test, with the key that its PDS would sign with. */
export interface Account {
  readonly did: string
  readonly handle: string
  readonly key: PrivateKey
}

export interface StrongRef {
  readonly uri: string
  readonly cid: string
}

type QueryId = MethodIds<AtprotoDocuments, 'query'>
type Params<N extends QueryId> = ParamsOf<AtprotoDocuments, N, 'provide'>

/** What a request answered. */
export interface Answer<N extends QueryId> {
  readonly status: number
  readonly headers: Headers
  /** The output, checked against its lexicon; meaningless when the request failed. */
  readonly body: OutputOf<AtprotoDocuments, N>
  /** Name of the error when the request failed. */
  readonly error: string | undefined
}

/** An AppView without a network, its index written to directly. Every successful answer is checked against its lexicon. */
export class World implements AsyncDisposable {
  readonly appView: AppView
  readonly resolver: MemoryResolver
  /** Answers checked against their lexicon. */
  checked = 0
  /** What every request asks for as `atproto-accept-labelers`. */
  accept: string | undefined
  readonly #directory: string
  readonly #tids = createTidClock()
  readonly #revs = new Map<string, string>()
  /** Begins a minute ago, so that no record claims a time after it is indexed. */
  #lastTime = Date.now() - 60_000
  #names = 0
  #seq = 0

  private constructor(appView: AppView, resolver: MemoryResolver, directory: string) {
    this.appView = appView
    this.resolver = resolver
    this.#directory = directory
  }

  static async start(
    overrides: Partial<AppViewConfig> = {},
    resolver: MemoryResolver = createMemoryResolver(),
  ): Promise<World> {
    const directory = mkdtempSync(join(tmpdir(), 'appview-'))
    const required = {
      dataDirectory: directory,
      plcUrl: 'http://localhost:1',
      relay: 'http://localhost:1',
    }
    const config = devConfig(required, { backfill: false, validateOutput: true, ...overrides })
    return new World(await startAppView(config, { resolver }), resolver, directory)
  }

  /** An account with a verified handle, and a profile unless told otherwise. */
  async account(name: string, profile: object | false = {}): Promise<Account> {
    const account = this.stranger(name)
    const { did, handle } = account
    await this.apply(
      { type: 'account', seq: 0, did, active: true },
      { type: 'identity', seq: 0, did, handle },
    )
    if (profile !== false)
      await this.write(account, 'app.bsky.actor.profile', { displayName: name, ...profile }, 'self')
    return account
  }

  /** An account that has an identity and is not indexed. */
  stranger(name: string): Account {
    const did = `did:plc:${name.padEnd(16, 'a').slice(0, 16)}${String(++this.#names)
      .padStart(8, '2')
      .replaceAll(/[^2-7]/g, '7')}`
    const key = generatePrivateKey('k256')
    const account = { did, handle: `${name}.test`, key }
    const { publicKey: signingKey } = key
    const pds = 'http://localhost:1'
    this.resolver.setAccount({ did, handle: account.handle, signingKey, pds })
    return account
  }

  /** Indexes a record, a millisecond newer than the one before unless it says when it was created. */
  async write(
    account: Account,
    collection: string,
    record: object,
    rkey: string = this.#tids.next(),
  ): Promise<StrongRef> {
    const bytes = encodeCbor({ $type: collection, createdAt: this.#nextTime(), ...record })
    const cid = cidForCbor(bytes)
    await this.commit(account, {
      action: 'create',
      collection,
      rkey,
      cid: cid.bytes,
      record: bytes,
    })
    return { uri: `at://${account.did}/${collection}/${rkey}`, cid: cid.toString() }
  }

  /** Records of one world are never of the same millisecond: their order is what tests look at. */
  #nextTime(): string {
    this.#lastTime += 1
    return new Date(this.#lastTime).toISOString()
  }

  async delete(account: Account, { uri }: { readonly uri: string }): Promise<void> {
    const [collection = '', rkey = ''] = uri.split('/').slice(3)
    await this.commit(account, { action: 'delete', collection, rkey })
  }

  post(account: Account, text: string, more: object = {}): Promise<StrongRef> {
    return this.write(account, 'app.bsky.feed.post', { text, ...more })
  }

  reply(
    account: Account,
    text: string,
    parent: StrongRef,
    root: StrongRef = parent,
  ): Promise<StrongRef> {
    return this.post(account, text, { reply: { root, parent } })
  }

  like(account: Account, subject: StrongRef): Promise<StrongRef> {
    return this.write(account, 'app.bsky.feed.like', { subject })
  }

  repost(account: Account, subject: StrongRef): Promise<StrongRef> {
    return this.write(account, 'app.bsky.feed.repost', { subject })
  }

  follow(account: Account, { did }: Account): Promise<StrongRef> {
    return this.write(account, 'app.bsky.graph.follow', { subject: did })
  }

  block(account: Account, { did }: Account): Promise<StrongRef> {
    return this.write(account, 'app.bsky.graph.block', { subject: did })
  }

  /** Changes the hosting status of an account, as a PDS announces it. */
  async setStatus(account: Account, active: boolean, status?: string): Promise<void> {
    await this.apply({
      type: 'account',
      seq: 0,
      did: account.did,
      active,
      ...(status === undefined ? {} : { status }),
    })
    // A returning account is fetched, which fails here; until then its events wait.
    const { index } = this.appView
    await until(index, async () => {
      const { queued, fetching } = (await index.status()).repos
      return queued + fetching === 0
    })
  }

  /** The revision that was indexed last. */
  rev(account: Account): string | undefined {
    return this.#revs.get(account.did)
  }

  /** Asks the AppView, on behalf of an account or of nobody. */
  async get<const N extends QueryId>(
    nsid: N,
    params?: Params<N>,
    as?: Account,
  ): Promise<Answer<N>> {
    const token = as === undefined ? undefined : await this.token(as, nsid)
    return this.fetch(nsid, params ?? {}, token)
  }

  /** Asks with any parameters and any token. */
  async fetch<const N extends QueryId>(
    nsid: N,
    params: object,
    token?: string,
  ): Promise<Answer<N>> {
    const url = new URL(`/xrpc/${nsid}`, this.appView.url)
    for (const [name, value] of Object.entries(params))
      for (const item of Array.isArray(value) ? value : [value])
        url.searchParams.append(name, String(item))
    const headers = {
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(this.accept === undefined ? {} : { 'atproto-accept-labelers': this.accept }),
    }
    const response = await fetch(url, { headers })
    const body: unknown = await response.json()
    if (response.status === 200) {
      lexicons.assertValidXrpcOutput(nsid, body)
      this.checked++
    }
    const { error } = body as { readonly error?: string }
    const output = body as Answer<N>['body']
    return { status: response.status, headers: response.headers, body: output, error }
  }

  /** A service token as a PDS mints it. */
  token(account: Account, lxm: string, claims: Partial<ServiceJwtOptions> = {}): Promise<string> {
    const aud = `${this.appView.did}#bsky_appview`
    return createServiceJwt({ iss: account.did, aud, lxm, key: account.key, ...claims })
  }

  async apply(...events: readonly IndexEvent[]): Promise<void> {
    await this.appView.index.apply(events.map((event) => ({ ...event, seq: ++this.#seq })))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.appView[Symbol.asyncDispose]()
    rmSync(this.#directory, { recursive: true, force: true })
  }

  private async commit(
    { did }: Account,
    op: Extract<IndexEvent, { type: 'commit' }>['ops'][number],
  ): Promise<void> {
    const rev = this.#tids.next()
    const since = this.#revs.get(did) ?? null
    this.#revs.set(did, rev)
    await this.apply({ type: 'commit', seq: 0, did, rev, since, ops: [op] })
  }
}

/** A blob reference whose content is the text. */
export function blob(content: string, mimeType = 'image/png'): object {
  const bytes = new TextEncoder().encode(content)
  return { $type: 'blob', ref: cidForRaw(bytes), mimeType, size: bytes.length }
}

/** Strings at a field of every item. */
export function pick(items: readonly Record<string, unknown>[], field: string): unknown[] {
  return items.map((item) => item[field])
}
