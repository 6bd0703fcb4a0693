import { readdir } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { once } from 'node:events'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { call, startTestPds, type TestAccount, type TestPds } from './harness.ts'

let server: TestPds
let alice: TestAccount

beforeAll(async () => {
  server = await startTestPds()
  alice = await server.account('alice')
})
afterAll(() => server[Symbol.asyncDispose]())

/** Sends bytes as they are; gives the status line of what comes back, empty when the socket just closes. */
async function raw(text: string, options: { readonly hangUp?: boolean } = {}): Promise<string> {
  const socket = connect(server.pds.port, '127.0.0.1')
  let answer = ''
  socket.setEncoding('latin1')
  socket.on('data', (data: string) => (answer += data))
  socket.on('error', () => undefined)
  const closed = new Promise<void>((resolve) => socket.on('close', () => resolve()))
  await once(socket, 'connect')
  await new Promise<void>((resolve) => socket.write(text, 'latin1', () => resolve()))
  if (options.hangUp === true) socket.destroy()
  else socket.end()
  await closed
  return answer.split('\r\n', 1)[0] ?? ''
}

async function incoming(): Promise<string[]> {
  return readdir(join(server.folder, 'blobs', 'incoming'))
}

describe('hostile callers', () => {
  it.each([
    ['nonsense', 'hello\r\n\r\n'],
    ['a header without end', `GET / HTTP/1.1\r\nx: ${'y'.repeat(100_000)}\r\n\r\n`],
    [
      'two lengths',
      'POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nx',
    ],
    [
      'a bad escape in the query',
      'GET /xrpc/com.atproto.sync.getRepo?did=%E0%A4%A HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n',
    ],
    [
      'a path out of the tree',
      'GET /xrpc/../../etc/passwd HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n',
    ],
    [
      'a null byte',
      'GET /xrpc/com.atproto.sync.getRepo?did=did:plc:%00 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n',
    ],
    [
      'an endless method name',
      `GET /xrpc/${'a.'.repeat(500)}b HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n`,
    ],
    [
      'another verb',
      'BREW /xrpc/com.atproto.server.describeServer HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n',
    ],
    ['no host', 'GET /.well-known/atproto-did HTTP/1.0\r\n\r\n'],
  ])('gets an error for %s', async (_name, text) => {
    expect(await raw(text)).toMatch(/^(HTTP\/1\.[01] [45]\d\d|$)/)
  })

  it('leaves nothing behind when it hangs up in the middle of an upload', async () => {
    const head =
      `POST /xrpc/com.atproto.repo.uploadBlob HTTP/1.1\r\nhost: a\r\ncontent-type: image/png\r\n` +
      `authorization: Bearer ${alice.accessJwt}\r\ncontent-length: 100000\r\n\r\n`
    await raw(head + 'x'.repeat(50_000), { hangUp: true })
    await raw(
      head.replace('content-length: 100000', 'transfer-encoding: chunked') + '5\r\nhello\r\n',
      { hangUp: true },
    )
    await expect.poll(incoming, { timeout: 5_000 }).toEqual([])
    const upload = await call(server.url, 'com.atproto.repo.uploadBlob', {
      token: alice.accessJwt,
      body: 'whole',
      headers: { 'content-type': 'text/plain' },
    })
    expect(upload.status).toBe(200)
  })

  it('is not listened to on the firehose', async () => {
    const socket = new WebSocket(
      `${server.url.replace('http', 'ws')}/xrpc/com.atproto.sync.subscribeRepos`,
    )
    await once(socket, 'open')
    socket.send('{"hello":1}')
    socket.send(Buffer.alloc(1_000, 0xff))
    const heard = once(socket, 'message')
    await alice.agent.post({ text: 'still here' })
    await heard
    const closed = once(socket, 'close')
    socket.send(Buffer.alloc(1_000_000))
    await closed
  })

  it('cannot open a stream of what is none', async () => {
    for (const path of [
      '/xrpc/com.atproto.sync.getRepo',
      '/xrpc/com.example.nothing',
      '/elsewhere',
      '/xrpc/',
    ]) {
      const socket = new WebSocket(`${server.url.replace('http', 'ws')}${path}`)
      const [error] = (await once(socket, 'error')) as [Error]
      expect(error.message).toMatch(/Unexpected server response: [45]\d\d|socket hang up/)
    }
  })

  it('has not brought the server down', async () => {
    expect(await call(server.url, '_health')).toMatchObject({ status: 200 })
    const { data } = await alice.agent.com.atproto.repo.listRecords({
      repo: alice.did,
      collection: 'app.bsky.feed.post',
    })
    expect(data.records).toHaveLength(1)
  })
})
