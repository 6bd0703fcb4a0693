import { request } from 'node:http'
import { connect } from 'node:net'
import { once } from 'node:events'
import { describe, expect, it } from 'vitest'
import { WebSocketServer } from 'ws'
import { generatePrivateKey } from '../src/keys/index.ts'
import { openSqlitePlcStore, servePlcDirectory } from '../src/node/index.ts'
import type { UpgradedSocket } from '../src/node/index.ts'
import {
  createPlcClient,
  createPlcIdentity,
  readPlcExportStream,
  updatePlcOperation,
} from '../src/plc/index.ts'
import type { PlcExportEntry } from '../src/plc/index.ts'
import { createMemoryPlcStore, createPlcDirectory } from '../src/plc-directory/index.ts'
import type { PlcStore } from '../src/plc-directory/index.ts'

const DAY_MS = 86_400_000

async function setUp(store: PlcStore) {
  const clock = { ms: Date.parse('2026-01-01T00:00:00.000Z') }
  const directory = createPlcDirectory({ store, now: () => clock.ms })
  const webSocketServer = new WebSocketServer({ noServer: true, maxPayload: 4096 })
  const server = await servePlcDirectory({ directory, webSocketServer })
  const client = createPlcClient({ url: server.url })
  const signer = generatePrivateKey('k256')
  const submit = async (name: string): Promise<string> => {
    const { did, operation } = await createPlcIdentity({
      signingKey: signer.didKey,
      handle: `${name}.example.com`,
      pds: 'https://pds.example.com',
      rotationKeys: [signer.didKey],
      signer,
    })
    await client.submit(did, operation)
    return did
  }
  const read = (cursor?: number, signal?: AbortSignal) =>
    readPlcExportStream({
      url: server.url,
      ...(cursor === undefined ? {} : { cursor }),
      ...(signal === undefined ? {} : { signal }),
    })
  return { clock, server, client, signer, submit, read }
}

async function take(
  stream: AsyncGenerator<PlcExportEntry, void, void>,
  count: number,
): Promise<PlcExportEntry[]> {
  const entries: PlcExportEntry[] = []
  while (entries.length < count) {
    const { value, done } = await stream.next()
    if (done === true) break
    entries.push(value)
  }
  return entries
}

describe.each([
  ['memory', () => createMemoryPlcStore()],
  ['SQLite', () => openSqlitePlcStore({ database: ':memory:' })],
])('/export/stream over a %s store', (_name, createStore) => {
  it('sends what came after the cursor, then what comes, as /export has it', async () => {
    const { server, client, signer, submit, read } = await setUp(createStore())
    await using _server = server
    const dids = []
    for (let n = 0; n < 150; n++) dids.push(await submit(`old${n}`))
    const stream = read(10)
    expect((await take(stream, 140)).map(({ did }) => did)).toEqual(dids.slice(10))
    const did = await submit('new')
    const update = await updatePlcOperation(
      await client.lastOperation(did),
      { handle: 'newer.example.com' },
      signer,
    )
    await client.submit(did, update)
    const live = await take(stream, 2)
    expect(live).toEqual(await client.exportPage({ after: 150 }))
    expect(live.map(({ seq }) => seq)).toEqual([151, 152])
    await stream.return()
  })

  it('begins now without a cursor', async () => {
    const { server, submit, read } = await setUp(createStore())
    await using _server = server
    await submit('before')
    const stream = read()
    const first = stream.next()
    // The stream has begun when it gives an entry; ask for ever newer ones until it does.
    let did = ''
    const submitted = new Set<string>()
    let got: PlcExportEntry | undefined
    void first.then(({ value }) => {
      got = value ?? undefined
    })
    for (let n = 0; got === undefined && n < 1000; n++) {
      did = await submit(`after${n}`)
      submitted.add(did)
    }
    expect(submitted).toContain(got?.did)
    await stream.return()
  })

  it('closes with FutureCursor and OutdatedCursor, a week back', async () => {
    const { clock, server, submit, read } = await setUp(createStore())
    await using _server = server
    await submit('one')
    await expect(take(read(2), 1)).rejects.toMatchObject({ reason: 'FutureCursor' })
    clock.ms += 7 * DAY_MS
    expect(await take(read(0), 1)).toHaveLength(1)
    clock.ms += 1
    await expect(take(read(0), 1)).rejects.toMatchObject({ reason: 'OutdatedCursor' })
    await submit('two')
    expect((await take(read(1), 1)).map(({ seq }) => seq)).toEqual([2])
  })

  it('ends in good order when the server stops', async () => {
    const { server, submit, read } = await setUp(createStore())
    await submit('one')
    const stream = read(0)
    await take(stream, 1)
    const end = stream.next()
    await server[Symbol.asyncDispose]()
    expect(await end).toEqual({ done: true, value: undefined })
  })
})

describe('servePlcDirectory', () => {
  it('cuts off a reader that does not read, with ConsumerTooSlow', async () => {
    const store = createMemoryPlcStore()
    const { server: other, submit } = await setUp(store)
    await submit('one')
    await submit('two')
    const sent: string[] = []
    const ended = Promise.withResolvers<string | undefined>()
    const server = await servePlcDirectory({
      directory: createPlcDirectory({ store, now: () => Date.parse('2026-01-01T00:00:00.000Z') }),
      streamStallMs: 1,
      webSocketServer: {
        handleUpgrade(_request, socket, _head, done) {
          const listeners = new Map<string, () => void>()
          const client: UpgradedSocket = {
            bufferedAmount: 2 ** 30,
            send: (text) => void sent.push(text),
            ping: () => undefined,
            terminate: () => undefined,
            on: (event, listener) => listeners.set(event, listener),
            close(_code, reason) {
              socket.destroy()
              listeners.get('close')?.()
              ended.resolve(reason)
            },
          }
          done(client)
        },
      },
    })
    request(`${server.url}/export/stream?cursor=0`, {
      headers: { connection: 'Upgrade', upgrade: 'websocket' },
    })
      .on('error', () => undefined)
      .end()
    expect(await ended.promise).toBe('ConsumerTooSlow')
    expect(sent).toHaveLength(1)
    await server[Symbol.asyncDispose]()
    await other[Symbol.asyncDispose]()
  })

  it('answers upgrades elsewhere and with bad cursors, and asks for one on the stream', async () => {
    const { server } = await setUp(createMemoryPlcStore())
    await using _server = server
    const headers = {
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==',
    }
    const statusOf = async (path: string): Promise<number | undefined> => {
      const asked = request(server.url + path, { headers })
      asked.end()
      const [response] = await once(asked, 'response')
      return (response as { statusCode?: number }).statusCode
    }
    expect(await statusOf('/export')).toBe(404)
    for (const cursor of ['-1', 'x', '1.5', '1e3', '', '9'.repeat(20)])
      expect(await statusOf(`/export/stream?cursor=${cursor}`)).toBe(400)
    expect((await fetch(`${server.url}/export/stream`)).status).toBe(426)
  })

  it('survives hostile requests and stops in spite of a request that does not end', async () => {
    const { server, client } = await setUp(createMemoryPlcStore())
    const { port } = new URL(server.url)
    const hostile = [
      'GET / HTTP/1.1\r\nHost: a b<>\r\n\r\n',
      'GET //[ HTTP/1.1\r\nHost: x\r\n\r\n',
      'TRACE / HTTP/1.1\r\nHost: x\r\n\r\n',
      'GET //[ HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
    ]
    for (const text of hostile) {
      const socket = connect(Number(port), '127.0.0.1')
      socket.on('error', () => undefined)
      socket.end(text)
      socket.resume()
      await once(socket, 'close')
    }
    expect(await client.isHealthy()).toBe(true)
    const slow = connect(Number(port), '127.0.0.1')
    slow.on('error', () => undefined)
    slow.write(
      'POST /did:plc:ewvi7nxzyoun6zhxrhs64oiz HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n',
    )
    await client.isHealthy()
    await server[Symbol.asyncDispose]()
    slow.destroy()
  })
})
