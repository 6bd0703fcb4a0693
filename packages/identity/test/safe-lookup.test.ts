import { createServer, connect, type AddressInfo } from 'node:net'
import { once } from 'node:events'
import { describe, expect, it } from 'vitest'
import { createSafeLookup } from '../src/node/safe-lookup.ts'

describe('createSafeLookup', () => {
  const resolveAddresses = (name: string): Promise<{ address: string; family: number }[]> =>
    Promise.resolve(
      name === 'mixed.test'
        ? [
            { address: '93.184.216.34', family: 4 },
            { address: '10.0.0.1', family: 4 },
          ]
        : [{ address: '127.0.0.1', family: 4 }],
    )

  it('keeps sockets from private addresses, also among public ones', async () => {
    const lookup = createSafeLookup({ resolveAddresses })
    for (const host of ['loopback.test', 'mixed.test']) {
      const [error] = (await once(connect({ host, port: 9, lookup }), 'error').catch(
        (reason: unknown) => [reason],
      )) as [Error & { code: string }]
      expect(error.code).toBe('ForbiddenAddress')
    }
  })

  it('lets them through in development', async () => {
    const server = createServer((socket) => socket.end()).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const lookup = createSafeLookup({ resolveAddresses, dev: true })
    const socket = connect({ host: 'loopback.test', port, lookup })
    await once(socket, 'connect')
    expect(socket.remoteAddress).toBe('127.0.0.1')
    socket.destroy()
    server.close()
  })
})
