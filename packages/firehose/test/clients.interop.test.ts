import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'
import { ComAtprotoSyncSubscribeRepos } from '@atcute/atproto'
import { FirehoseSubscription } from '@atcute/firehose'
import { decodeCbor } from '@skywright/repo'
import { Firehose as SkywareFirehose, type CommitEvent as SkywareCommit } from '@skyware/firehose'
import { Jetstream } from '@skyware/jetstream'
import { beforeAll, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { decodeEvent } from '../src/codec.ts'
import type { CommitEvent, RepoEvent } from '../src/event.ts'
import { scanCar } from '../src/car-scan.ts'
import { SimulatedNetwork, type SimulatedHost } from '../src/testing/index.ts'
import { createEventSockets, createJetstreamSockets } from '../src/ws.ts'
import { listen } from './support/listen.ts'

/** One operation, however a client writes it. */
interface SeenOp {
  readonly seq: number
  readonly did: string
  readonly rev: string
  readonly action: string
  readonly path: string
  readonly cid: string | undefined
  readonly text: unknown
}

let network: SimulatedNetwork
let host: SimulatedHost
let sent: readonly RepoEvent[]
const firstKeys = new Map<string, string>()

beforeAll(async () => {
  network = await SimulatedNetwork.create({ accounts: 6, seed: 41 })
  host = network.hosts[0]!
  for (let i = 0; i < 300; i++) await network.step()
  const [rotated, gone] = network.accounts
  firstKeys.set(rotated!.did, rotated!.key.publicKey.didKey)
  await network.rotateKey(rotated!)
  await network.step(rotated)
  gone!.active = false
  await network.send(gone!, network.accountEvent(gone!, 'deactivated'))
  const entries = await host.log.read(0, { maxEvents: 10_000, maxBytes: 1e9 })
  sent = entries.map(({ frame }) => decodeEvent(frame) as RepoEvent)
  const kinds = new Set(sent.map((event) => event.type))
  expect([...kinds].toSorted()).toEqual(['account', 'commit', 'identity', 'sync'])
  const ops = commitsSent().flatMap((event) => event.ops)
  for (const action of ['create', 'update', 'delete']) {
    expect(ops.filter((op) => op.action === action).length).toBeGreaterThan(0)
  }
})

const commitsSent = () => sent.filter((event): event is CommitEvent => event.type === 'commit')
const tip = () => sent.at(-1)!.seq

/** Every operation sent, with what its record says. */
function opsSent(): SeenOp[] {
  return commitsSent().flatMap(({ seq, did, rev, ops, blocks }) => {
    const car = scanCar(blocks)
    return ops.map(({ action, path, cid }) => {
      const record = cid === null ? undefined : car.get(cid)
      const value = record === undefined ? undefined : (decodeCbor(record) as { text: unknown })
      return { seq, did, rev, action, path, cid: cid?.toString(), text: value?.text }
    })
  })
}

const serveFirehose = async () => await listen(createEventSockets(host.log))

describe('@atcute/firehose', () => {
  it('reads every event, each valid by its lexicon', async () => {
    await using server = await serveFirehose()
    const errors: unknown[] = []
    const subscription = new FirehoseSubscription({
      service: server.service,
      nsid: ComAtprotoSyncSubscribeRepos.mainSchema,
      params: { cursor: 0 },
      ws: { WebSocket },
      onError: (error) => errors.push(error),
    })
    const seen: { type: string; seq: number; ops: number }[] = []
    for await (const message of subscription) {
      if (!('seq' in message)) continue
      const type = message.$type.split('#')[1] ?? ''
      seen.push({ type, seq: message.seq, ops: 'ops' in message ? message.ops.length : 0 })
      if (message.seq === tip()) break
    }
    expect(errors).toEqual([])
    expect(seen).toEqual(
      sent.map((event) => ({
        type: event.type,
        seq: event.seq,
        ops: event.type === 'commit' ? event.ops.length : 0,
      })),
    )
  })

  it('is told of a cursor in the future', async () => {
    await using server = await serveFirehose()
    const error = await new Promise<unknown>((resolve) => {
      const subscription = new FirehoseSubscription({
        service: server.service,
        nsid: ComAtprotoSyncSubscribeRepos.mainSchema,
        params: { cursor: tip() + 1 },
        ws: { WebSocket, maxRetries: 0 },
        onError: resolve,
      })
      void subscription[Symbol.asyncIterator]().next()
    })
    expect(error).toMatchObject({ error: 'FutureCursor' })
  })
})

describe('@skyware/firehose', () => {
  it('reads every event, and every record', async () => {
    await using server = await serveFirehose()
    const seen: SeenOp[] = []
    const errors: unknown[] = []
    const numbers: number[] = []
    await new Promise<void>((resolve) => {
      const client = new SkywareFirehose({
        relay: server.service,
        cursor: '0',
        autoReconnect: false,
        ws: WebSocket,
      })
      const count = ({ seq }: { readonly seq: number }) => {
        numbers.push(seq)
        if (numbers.length === sent.length || errors.length > 0) {
          client.close()
          resolve()
        }
      }
      client.on('error', ({ error }) => {
        errors.push(error)
      })
      client.on('unknown', (message) => {
        errors.push(message)
      })
      client.on('commit', (event: SkywareCommit) => {
        for (const op of event.ops) {
          seen.push({
            seq: event.seq,
            did: event.repo,
            rev: event.rev,
            action: op.action,
            path: op.path,
            cid: op.action === 'delete' ? undefined : op.cid,
            text: 'record' in op ? Reflect.get(op.record, 'text') : undefined,
          })
        }
        count(event)
      })
      client.on('sync', count)
      client.on('account', count)
      client.on('identity', count)
      client.start()
    })
    expect(errors).toEqual([])
    expect(numbers.toSorted((a, b) => a - b)).toEqual(sent.map((event) => event.seq))
    expect(seen.toSorted((a, b) => a.seq - b.seq)).toEqual(opsSent())
  })
})

describe('@skyware/jetstream', () => {
  const kinds = { create: 'create', update: 'update', delete: 'delete' } as const

  it('reads every operation, account and identity event, and resumes at its cursor', async () => {
    await using server = await listen(createJetstreamSockets(host.log))
    const operations: { did: string; rev: string; action: string; path: string; cid?: string }[] =
      []
    const times: number[] = []
    const others: string[] = []
    const errors: unknown[] = []
    const expected = opsSent()
    const notices = sent.filter((event) => event.type === 'account' || event.type === 'identity')
    const total = expected.length + notices.length
    /** Reads until `stop` messages were seen in all; gives the client's own cursor. */
    const read = async (cursor: number, stop: number) =>
      await new Promise<number>((resolve) => {
        const client = new Jetstream({
          endpoint: `${server.service}/subscribe`,
          cursor,
          ws: WebSocket,
        })
        const seen = (timeUs: number) => {
          times.push(timeUs)
          if (times.length !== stop) return false
          client.close()
          resolve(client.cursor ?? 0)
          return true
        }
        client.on('commit', ({ did, time_us, commit }) => {
          if (times.length >= stop) return
          const { rev, operation, collection, rkey } = commit
          operations.push({
            did,
            rev,
            action: kinds[operation],
            path: `${collection}/${rkey}`,
            ...('cid' in commit ? { cid: commit.cid } : {}),
          })
          seen(time_us)
        })
        const other = (kind: string) => (event: { time_us: number }) => {
          if (times.length >= stop) return
          others.push(kind)
          seen(event.time_us)
        }
        client.on('account', other('account'))
        client.on('identity', other('identity'))
        client.on('error', (error: unknown) => errors.push(error))
        client.start()
      })
    const half = await read(1, Math.floor(total / 2))
    await read(half + 1, total)
    expect(errors).toEqual([])
    expect(times).toEqual(times.toSorted((a, b) => a - b))
    expect(others.toSorted()).toEqual(notices.map((event) => event.type).toSorted())
    expect(operations).toEqual(
      expected.map(({ did, rev, action, path, cid }) => ({
        did,
        rev,
        action,
        path,
        ...(cid === undefined ? {} : { cid }),
      })),
    )
  })

  it('gets the collections it wants, and others when it changes its mind', async () => {
    await using server = await listen(createJetstreamSockets(host.log))
    const client = new Jetstream({
      endpoint: `${server.service}/subscribe`,
      cursor: 1,
      wantedCollections: ['app.bsky.feed.post'],
      ws: WebSocket,
    })
    const collections = new Set<string>()
    const posts = opsSent().filter(({ path }) => path.startsWith('app.bsky.feed.post/'))
    await new Promise<void>((resolve) => {
      let left = posts.length
      client.on('commit', ({ commit }) => {
        collections.add(commit.collection)
        if (--left === 0) resolve()
      })
      client.start()
    })
    expect([...collections]).toEqual(['app.bsky.feed.post'])
    client.updateOptions({ wantedCollections: ['app.bsky.graph.*'] })
    const followed = new Promise<string>((resolve) => {
      client.on('commit', ({ commit }) => {
        resolve(commit.collection)
      })
    })
    const account = network.accounts[2]!
    const follow = async (collection: string) => {
      const rkey = network.text(10)
      const record = network.record(collection)
      await network.send(
        account,
        await network.apply(account, [{ action: 'create', collection, rkey, record }]),
      )
    }
    // The server may still be reading the update while the first of these pass.
    const writing = new AbortController()
    void followed.then(() => {
      writing.abort()
    })
    while (!writing.signal.aborted) {
      await follow('app.bsky.feed.repost')
      await follow('app.bsky.graph.block')
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect(await followed).toBe('app.bsky.graph.block')
    client.close()
  })
})

/** What this test needs of `@atproto/sync`, which weighs too much for the workspace: it is among the benchmarks' rivals. */
interface AtprotoSync {
  readonly Firehose: new (options: Record<string, unknown>) => {
    start(): Promise<void>
    destroy(): Promise<void>
  }
}

interface AtprotoEvent {
  readonly event: string
  readonly seq: number
  readonly did: string
  readonly rev?: string
  readonly collection?: string
  readonly rkey?: string
  readonly cid?: { toString(): string }
  readonly record?: { readonly text?: unknown }
  readonly active?: boolean
  readonly status?: string
}

function findAtprotoSync(): string | undefined {
  try {
    return createRequire(new URL('../../../bench/main.ts', import.meta.url)).resolve(
      '@atproto/sync',
    )
  } catch {
    // A skipped test must be visible.
    process.emitWarning('the rivals of bench/ are not installed: @atproto/sync is not tested')
    return undefined
  }
}

const atprotoSync = findAtprotoSync()

describe.skipIf(atprotoSync === undefined)('@atproto/sync', () => {
  it('reads every event and proves every operation', async () => {
    const { Firehose } = (await import(
      /* @vite-ignore */ pathToFileURL(atprotoSync ?? '').href
    )) as AtprotoSync
    await using server = await serveFirehose()
    const operations: SeenOp[] = []
    const others: string[] = []
    const errors: unknown[] = []
    await new Promise<void>((resolve) => {
      const client = new Firehose({
        service: server.service,
        getCursor: () => 0,
        idResolver: stubResolver(),
        onError: (error: Error) => {
          errors.push(error)
        },
        handleEvent: (event: AtprotoEvent) => {
          if (event.collection === undefined) {
            others.push(`${String(event.seq)} ${event.event}`)
          } else {
            operations.push({
              seq: event.seq,
              did: event.did,
              rev: event.rev ?? '',
              action: event.event,
              path: `${event.collection}/${event.rkey ?? ''}`,
              cid: event.cid?.toString(),
              text: event.record?.text,
            })
          }
          if (event.seq === tip()) void client.destroy().then(resolve)
        },
      })
      void client.start()
    })
    expect(errors).toEqual([])
    expect(operations).toEqual(opsSent())
    const notices = sent.filter((event) => event.type !== 'commit')
    expect(others).toEqual(notices.map((event) => `${String(event.seq)} ${event.type}`))
  })
})

/** Gives the key an account had first, and its present one only when asked to look again. */
function stubResolver() {
  return {
    did: {
      resolve: (did: string) => Promise.resolve({ id: did, alsoKnownAs: [] }),
      resolveAtprotoKey: (did: string, refresh: boolean) => {
        const present = network.accounts.find((one) => one.did === did)?.key.publicKey.didKey
        return Promise.resolve(refresh ? present : (firstKeys.get(did) ?? present))
      },
    },
    handle: { resolve: () => Promise.resolve(undefined) },
  }
}
