/**
 * The router on bare `node:http`.
 *
 * @packageDocumentation
 */
import { createServer } from 'node:http'
import type { IncomingMessage, RequestListener, Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Router } from '../router.ts'
import { fromNode, pathOf, writeNode } from './node-request.ts'
import type { WriteOptions } from './node-request.ts'

/** How long {@link NodeServer} waits for calls under way before it cuts them off. */
const CLOSE_TIMEOUT_MS = 5_000
/** How often a closing server looks for connections that have become idle: clients keep theirs open for seconds. */
const IDLE_SWEEP_MS = 20

/** Options of {@link createNodeHandler}. */
export interface NodeHandlerOptions extends WriteOptions {
  /** Address of the caller. @defaultValue the peer of the socket */
  readonly ip?: (request: IncomingMessage) => string | undefined
}

/** Serves a router from a `node:http` or `node:https` server: `createServer(createNodeHandler(router))`. */
export function createNodeHandler(
  router: Pick<Router<unknown>, 'handle'>,
  options: NodeHandlerOptions = {},
): RequestListener {
  const { ip = (request) => request.socket.remoteAddress } = options
  return (message, response) => {
    const request = fromNode(message, response, pathOf(message.url), () => ip(message))
    void router.handle(request).then((answer) => writeNode(answer, message, response, options))
  }
}

/** Options of {@link serveNode}. */
export interface ServeNodeOptions extends NodeHandlerOptions {
  /** @defaultValue 0, which takes a free port */
  readonly port?: number
  /** @defaultValue `127.0.0.1` */
  readonly host?: string
  /** Runs with the server before it listens; where `@skywright/xrpc/ws` attaches subscriptions. */
  readonly attach?: (server: Server) => AsyncDisposable | undefined
}

/** A listening server. Disposing it stops accepting, lets calls under way finish for five seconds, then closes. */
export interface NodeServer extends AsyncDisposable {
  readonly url: string
  readonly server: Server
}

/** Listens with a router and nothing else. @throws what the system says, `EADDRINUSE` for example */
export async function serveNode(
  router: Pick<Router<unknown>, 'handle'>,
  options: ServeNodeOptions = {},
): Promise<NodeServer> {
  const server = createServer(createNodeHandler(router, options))
  const attached = options.attach?.(server)
  try {
    const listening = await listenNode(server, options)
    return {
      ...listening,
      async [Symbol.asyncDispose]() {
        await attached?.[Symbol.asyncDispose]()
        await listening[Symbol.asyncDispose]()
      },
    }
  } catch (error) {
    await attached?.[Symbol.asyncDispose]()
    throw error
  }
}

/**
 * Listens with any server: express, say, is `createServer(app)`. Its `url` names `localhost` where that was the host.
 *
 * @throws what the system says, `EADDRINUSE` for example
 */
export async function listenNode(
  server: Server,
  options: Pick<ServeNodeOptions, 'port' | 'host'> = {},
): Promise<NodeServer> {
  const { port = 0, host = '127.0.0.1' } = options
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => {
      server.off('error', reject)
      resolve()
    })
  })
  const address = server.address() as AddressInfo
  const ip = address.family === 'IPv6' ? `[${address.address}]` : address.address
  const name = host === 'localhost' ? host : ip
  return {
    url: `http://${name}:${address.port}`,
    server,
    [Symbol.asyncDispose]: () => closeServer(server),
  }
}

/**
 * Closes a server: idle connections at once, busy ones when their call is done or the time is up. One that does not listen
 * is closed already.
 */
export async function closeServer(
  server: Server,
  options: { readonly timeoutMs?: number } = {},
): Promise<void> {
  const { timeoutMs = CLOSE_TIMEOUT_MS } = options
  const timer = setTimeout(() => server.closeAllConnections(), timeoutMs)
  const sweep = setInterval(() => server.closeIdleConnections(), IDLE_SWEEP_MS)
  try {
    await new Promise<void>((resolve, reject) => {
      server.close((error) => {
        if (error === undefined || ('code' in error && error.code === 'ERR_SERVER_NOT_RUNNING'))
          resolve()
        else reject(error)
      })
      server.closeIdleConnections()
    })
  } finally {
    clearTimeout(timer)
    clearInterval(sweep)
  }
}
