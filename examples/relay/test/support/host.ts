import { createServer } from 'node:http'
import {
  commitEvent,
  type CommitEvent,
  createMemoryEventLog,
  encodeEvent,
  serveEvents,
  type RepoEvent,
} from '@skywright/firehose'
import type { DidDocument } from '@skywright/identity'
import { generatePrivateKey, type PrivateKey } from '@skywright/identity/keys'
import { type Commit, createMemoryRepoStore, Repo, type RepoWrite } from '@skywright/repo'
import { WebSocketServer } from 'ws'
import { close, type FakePlc, listen } from './plc.ts'

/** An account on a fake host: a real repository with a real key. */
export interface FakeAccount {
  readonly did: string
  readonly repo: Repo
  readonly key: PrivateKey
}

/** A host with real repositories and a real firehose, and no other feature. */
export interface FakeHost extends AsyncDisposable {
  readonly hostname: string
  readonly url: string
  /** Sockets opened so far. */
  readonly connections: () => number
  /** Cursors asked for, in the order of connections. */
  readonly cursors: readonly (number | undefined)[]
  createAccount(): Promise<FakeAccount>
  /** An account whose DID document the host serves itself. There is one at most. */
  createWebAccount(): Promise<FakeAccount>
  /** Writes records, one commit; gives it. */
  write(account: FakeAccount, writes: readonly RepoWrite[]): Promise<Commit>
  post(account: FakeAccount, text: string): Promise<Commit>
  /** Puts any event of an account on the firehose. */
  emit(event: RepoEvent): Promise<number>
  /** Puts any bytes on the firehose. */
  emitFrame(did: string, encode: (seq: number) => Uint8Array): Promise<number>
  /** Commits that were put on the firehose. */
  readonly commits: readonly CommitEvent[]
  /** Ends all sockets; the relay will come back. */
  disconnect(): void
  readonly lastSeq: () => number
}

export interface FakeHostOptions {
  readonly plc: FakePlc
  readonly port?: number
  /** What `describeServer` answers. @defaultValue a description */
  readonly description?: string
  readonly server?: string
  /** What other questions get. */
  readonly answer?: (
    nsid: string,
    parameters: URLSearchParams,
  ) => { readonly status?: number; readonly body: unknown } | undefined
}

const ALPHABET = 'abcdefghijklmnopqrstuvwxyz234567'

export async function startFakeHost(options: FakeHostOptions): Promise<FakeHost> {
  const { plc, server: serverName = 'fake-host' } = options
  const log = createMemoryEventLog()
  const store = createMemoryRepoStore()
  const sockets = new WebSocketServer({ noServer: true })
  const cursors: (number | undefined)[] = []
  let webDocument: DidDocument | undefined
  const server = createServer((request, response) => {
    if (request.url === '/.well-known/did.json' && webDocument !== undefined) {
      response.writeHead(200, { 'content-type': 'application/json' })
      response.end(JSON.stringify(webDocument))
      return
    }
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost')
    const answer = options.answer?.(pathname.slice('/xrpc/'.length), searchParams)
    if (answer !== undefined) {
      response.writeHead(answer.status ?? 200, { 'content-type': 'application/json' })
      response.end(JSON.stringify(answer.body))
      return
    }
    const found = request.url === '/xrpc/com.atproto.server.describeServer'
    response.writeHead(found ? 200 : 404, {
      'content-type': 'application/json',
      server: serverName,
    })
    response.end(
      found
        ? (options.description ??
            JSON.stringify({ did: 'did:web:localhost', availableUserDomains: [] }))
        : '{"error":"NotFound"}',
    )
  })
  server.on('upgrade', (request, socket, head) => {
    sockets.handleUpgrade(request, socket, head, (ws) => {
      const url = new URL(request.url ?? '/', 'http://localhost')
      const text = url.searchParams.get('cursor')
      const cursor = text === null ? undefined : Number(text)
      cursors.push(cursor)
      const stop = new AbortController()
      ws.on('close', () => stop.abort())
      const pump = async (): Promise<void> => {
        for await (const frame of serveEvents(log, { cursor, signal: stop.signal })) ws.send(frame)
        ws.close()
      }
      pump().catch(() => ws.terminate())
    })
  })
  const port = await listen(server, options.port)
  const hostname = `localhost:${String(port)}`
  const url = `http://${hostname}`

  const emitFrame: FakeHost['emitFrame'] = async (did, encode) => {
    const [seq = 0] = await log.publish([{ did, encode }])
    return seq
  }
  const createAccount = async (
    did: string,
    register: (did: string, document: DidDocument) => void,
  ): Promise<FakeAccount> => {
    const key = generatePrivateKey('k256')
    register(did, {
      id: did,
      alsoKnownAs: [],
      verificationMethod: [
        {
          id: `${did}#atproto`,
          type: 'Multikey',
          controller: did,
          publicKeyMultibase: key.publicKey.multibase,
        },
      ],
      service: [{ id: '#atproto_pds', type: 'AtprotoPersonalDataServer', serviceEndpoint: url }],
    })
    const { repo, commit } = await Repo.create(store, { did, signer: key })
    const time = new Date().toISOString()
    await emit({ type: 'identity', seq: 0, did, time })
    await emit({ type: 'account', seq: 0, did, active: true, time })
    await emit(commitEvent(commit, time))
    return { did, repo, key }
  }
  const commits: CommitEvent[] = []
  const emit: FakeHost['emit'] = (event) => {
    if (event.type === 'commit') commits.push(event)
    return emitFrame(event.did, (seq) => encodeEvent(event, seq))
  }
  const write: FakeHost['write'] = async (account, writes) => {
    const { commit } = await account.repo.applyWrites(writes)
    if (commit === undefined) throw new Error('nothing was written')
    await emit(commitEvent(commit, new Date().toISOString()))
    return commit
  }
  return {
    hostname,
    url,
    connections: () => cursors.length,
    cursors,
    createAccount: () => {
      const id = Array.from(
        crypto.getRandomValues(new Uint8Array(24)),
        (byte) => ALPHABET[byte % 32],
      )
      return createAccount(`did:plc:${id.join('')}`, (did, document) => {
        plc.documents.set(did, document)
      })
    },
    createWebAccount: () =>
      createAccount(`did:web:localhost%3A${String(port)}`, (_did, document) => {
        webDocument = document
      }),
    write,
    post: (account, text) =>
      write(account, [
        {
          action: 'create',
          collection: 'app.bsky.feed.post',
          rkey: `p${String(Date.now())}${String(Math.random()).slice(2, 8)}`,
          record: { $type: 'app.bsky.feed.post', text, createdAt: new Date().toISOString() },
        },
      ]),
    emit,
    emitFrame,
    commits,
    disconnect: () => {
      for (const ws of sockets.clients) ws.terminate()
    },
    lastSeq: () => log.bounds().last,
    [Symbol.asyncDispose]: async () => {
      for (const ws of sockets.clients) ws.terminate()
      await close(server)
      await log[Symbol.asyncDispose]()
    },
  }
}
