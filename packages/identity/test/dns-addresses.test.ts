import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createDnsAddresses } from '../src/node/dns-addresses.ts'

const TYPE_A = 1
const HEADER_BYTES = 12

/** A DNS server that knows one IPv4 address for everything, has no IPv6, and is silent about names under `dead`. */
const server = createSocket('udp4')
server.on('message', (query, { port, address }) => {
  const end = query.indexOf(0, HEADER_BYTES) + 1
  const question = query.subarray(HEADER_BYTES, end + 4)
  if (question.includes('dead')) return
  if (question.includes('missing')) {
    server.send(reply(query, question, 3, []), port, address)
    return
  }
  const isA = question.readUInt16BE(question.length - 4) === TYPE_A
  // A pointer to the question's name, type A, class IN, a minute, four bytes.
  const answer = [0xc0, HEADER_BYTES, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 93, 184, 215, 14]
  server.send(reply(query, question, 0, isA ? answer : []), port, address)
})

function reply(query: Buffer, question: Buffer, code: number, answer: number[]): Buffer {
  const counts = [0, 1, 0, answer.length > 0 ? 1 : 0, 0, 0, 0, 0]
  const header = [...query.subarray(0, 2), 0x81, 0x80 | code, ...counts]
  return Buffer.concat([Buffer.from(header), question, Buffer.from(answer)])
}

describe('createDnsAddresses', () => {
  let servers: string[]
  beforeAll(async () => {
    server.bind(0, '127.0.0.1')
    await once(server, 'listening')
    servers = [`127.0.0.1:${server.address().port}`]
  })
  afterAll(() => {
    server.close()
  })

  it('gives the addresses of a name of one family alone', async () => {
    const resolveAddresses = createDnsAddresses(servers)
    expect(await resolveAddresses('live.example.org')).toEqual([
      { address: '93.184.215.14', family: 4 },
    ])
    await expect(resolveAddresses('missing.example.org')).rejects.toMatchObject({
      code: 'ENOTFOUND',
    })
  })

  it('answers while nameservers of other names are silent', async () => {
    const resolveAddresses = createDnsAddresses(servers)
    let failed = 0
    for (let n = 0; n < 50; n++) {
      resolveAddresses(`a${n}.dead.example.org`).catch(() => failed++)
    }
    expect(await resolveAddresses('live.example.org')).toHaveLength(1)
    expect(failed).toBe(0)
  })
})
