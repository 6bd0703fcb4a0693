/** Opens a subscription over what each runtime has for WebSockets: a server on a free port, or a pair. */
import { decodeFrame } from '../../src/frame.ts'
import type { Frame } from '../../src/frame.ts'
import type { Router, ServerSocket } from '../../src/index.ts'

type AnyRouter = Pick<Router<unknown>, 'fetch'>
type Fetch = (request: Request) => Promise<Response>

interface DenoLike {
  serve(
    options: { port: number; hostname: string; onListen(): void },
    handler: Fetch,
  ): { readonly addr: { readonly port: number }; shutdown(): Promise<void> }
  upgradeWebSocket(
    request: Request,
    options: { readonly protocol?: string },
  ): { socket: ServerSocket; response: Response }
}

interface BunSocket {
  readonly data: EventTarget & { bun?: BunSocket }
  readonly readyState: number
  getBufferedAmount(): number
  send(data: Uint8Array | string): unknown
  close(code?: number, reason?: string): void
}

interface BunServer {
  readonly port: number
  upgrade(request: Request, options: { readonly data: object }): boolean
  stop(force: boolean): Promise<void>
}

interface BunLike {
  serve(options: {
    readonly port: number
    readonly hostname: string
    fetch(request: Request, server: BunServer): Promise<Response | undefined>
    readonly websocket: {
      open(socket: BunSocket): void
      message(): void
      close(socket: BunSocket): void
    }
  }): BunServer
}

type WorkerSocket = EventTarget & ServerSocket & { accept(): void }

interface Runtime {
  readonly Deno?: DenoLike
  readonly Bun?: BunLike
  readonly WebSocketPair?: new () => readonly [WorkerSocket, WorkerSocket]
}

/** The frames of a subscription until it closes; `undefined` where the runtime has no server of standard sockets. */
export async function readSubscription(
  router: AnyRouter,
  path: string,
): Promise<readonly Frame[] | undefined> {
  const { Deno, Bun, WebSocketPair } = globalThis as Runtime
  if (Deno !== undefined) return readDeno(Deno, router, path)
  if (Bun !== undefined) return readBun(Bun, router, path)
  return WebSocketPair === undefined ? undefined : readPair(WebSocketPair, router, path)
}

async function readDeno(deno: DenoLike, router: AnyRouter, path: string): Promise<Frame[]> {
  const server = deno.serve(
    { port: 0, hostname: '127.0.0.1', onListen: () => undefined },
    async (request) =>
      router.fetch(request, { upgrade: (asked, options) => deno.upgradeWebSocket(asked, options) }),
  )
  try {
    return await framesOf(new WebSocket(`ws://127.0.0.1:${server.addr.port}${path}`))
  } finally {
    await server.shutdown()
  }
}

/** Bun hands out its sockets through callbacks; this makes a standard one of them. */
class BunServerSocket extends EventTarget implements ServerSocket {
  bun: BunSocket | undefined
  get readyState(): number {
    return this.bun?.readyState ?? 0
  }
  get bufferedAmount(): number {
    return this.bun?.getBufferedAmount() ?? 0
  }
  send(data: Uint8Array | string): void {
    this.bun?.send(data)
  }
  close(code?: number, reason?: string): void {
    this.bun?.close(code, reason)
  }
}

async function readBun(bun: BunLike, router: AnyRouter, path: string): Promise<Frame[]> {
  const server = bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    fetch: async (request, self) => {
      let upgraded = false
      const response = await router.fetch(request, {
        upgrade: (asked) => {
          const socket = new BunServerSocket()
          upgraded = self.upgrade(asked, { data: socket })
          return { socket, response: new Response() }
        },
      })
      return upgraded ? undefined : response
    },
    websocket: {
      open: (socket) => {
        socket.data.bun = socket
        socket.data.dispatchEvent(new Event('open'))
      },
      message: () => undefined,
      close: (socket) => {
        socket.data.dispatchEvent(new Event('close'))
      },
    },
  })
  try {
    return await framesOf(new WebSocket(`ws://127.0.0.1:${server.port}${path}`))
  } finally {
    await server.stop(true)
  }
}

async function readPair(
  Pair: NonNullable<Runtime['WebSocketPair']>,
  router: AnyRouter,
  path: string,
): Promise<Frame[]> {
  const [client, server] = Object.values(new Pair()) as [WorkerSocket, WorkerSocket]
  const frames = framesOf(client)
  client.accept()
  const request = new Request(`http://localhost${path}`, { headers: { upgrade: 'websocket' } })
  await router.fetch(request, {
    upgrade: () => {
      server.accept()
      return { socket: server, response: new Response() }
    },
  })
  return frames
}

async function framesOf(socket: EventTarget & { binaryType?: string }): Promise<Frame[]> {
  socket.binaryType = 'arraybuffer'
  const frames: Frame[] = []
  socket.addEventListener('message', (event) => {
    const { data } = event as MessageEvent<ArrayBuffer>
    frames.push(decodeFrame(new Uint8Array(data)))
  })
  await new Promise<void>((resolve) => socket.addEventListener('close', () => resolve()))
  return frames
}
