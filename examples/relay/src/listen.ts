import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { RelayConfig } from './config.ts'

/** Starts listening; gives the port that was really taken, and the base URL with it. */
export async function listen(
  server: Server,
  { port, bindAddress }: Pick<RelayConfig, 'port' | 'bindAddress'>,
): Promise<{ readonly port: number; readonly url: string }> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, bindAddress, resolve)
  })
  const { port: taken } = server.address() as AddressInfo // a TCP server's address is never a path
  const host = bindAddress.includes(':') ? `[${bindAddress}]` : bindAddress
  return { port: taken, url: `http://${host}:${String(taken)}` }
}
