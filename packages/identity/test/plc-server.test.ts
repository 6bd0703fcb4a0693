import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { connect } from 'node:net'
import { describe, expect, it } from 'vitest'
import { servePlcDirectory } from '../src/node/index.ts'
import { createPlcDirectory } from '../src/plc-directory/index.ts'

const did = `did:plc:${'a'.repeat(24)}`

async function setUp() {
  const errors: unknown[] = []
  const directory = createPlcDirectory({ onError: (error) => errors.push(error) })
  return { errors, server: await servePlcDirectory({ directory }) }
}

/** What the server says to these bytes, until it closes the connection as asked. */
async function say(url: string, text: string): Promise<string> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  socket.write(text)
  let answer = ''
  socket.on('data', (chunk) => (answer += String(chunk)))
  await once(socket, 'close')
  return answer
}

describe('servePlcDirectory', () => {
  it.each([
    ['GET //', 400],
    ['GET http://[::1', 400],
    ['TRACE /', 405],
    ['PROPFIND /', 405],
    ['OPTIONS *', 204],
    ['GET http://elsewhere.example.com/_health', 200],
  ])('answers %s with %i', async (start, status) => {
    const { errors, server } = await setUp()
    await using _server = server
    const answer = await say(
      server.url,
      `${start} HTTP/1.1\r\nHost: plc\r\nConnection: close\r\n\r\n`,
    )
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `))
    expect(errors).toEqual([])
  })

  it('answers what it does not read, and goes on with the same connection', async () => {
    const { errors, server } = await setUp()
    await using _server = server
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    const send = async (
      method: string,
      path: string,
      bytes: number,
    ): Promise<{ readonly status: number | undefined; readonly reused: boolean }> => {
      const outgoing = request(`${server.url}${path}`, { method, agent })
      outgoing.end(Buffer.alloc(bytes, 32))
      const [message] = await once(outgoing, 'response')
      message.resume()
      await once(message, 'end')
      return { status: message.statusCode, reused: outgoing.reusedSocket }
    }
    expect(await send('POST', `/${did}`, 1_000_000)).toEqual({ status: 413, reused: false })
    for (let round = 0; round < 3; round++) {
      expect(await send('POST', `/${did}`, 1_000_000)).toEqual({ status: 413, reused: true })
      expect(await send('PUT', `/${did}`, 1_000_000)).toEqual({ status: 405, reused: true })
      expect(await send('POST', '/did:web:a.example.com', 500_000)).toEqual({
        status: 400,
        reused: true,
      })
      expect(await send('GET', '/_health', 0)).toEqual({ status: 200, reused: true })
    }
    agent.destroy()
    expect(errors).toEqual([])
  })

  it('takes a client that leaves in the middle of its body for no failure of its own', async () => {
    const refused = Promise.withResolvers<Response>()
    const errors: unknown[] = []
    const directory = createPlcDirectory({ onError: (error) => errors.push(error) })
    const fetch = async (asked: Request): Promise<Response> => {
      const response = await directory.fetch(asked)
      refused.resolve(response)
      return response
    }
    await using server = await servePlcDirectory({ directory: { ...directory, fetch } })
    const socket = connect(Number(new URL(server.url).port), '127.0.0.1')
    socket.write(`POST /${did} HTTP/1.1\r\nHost: plc\r\nContent-Length: 100\r\n\r\n{`, () => {
      socket.destroy()
    })
    expect((await refused.promise).status).toBe(400)
    expect(errors).toEqual([])
  })
})
