import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { createServer } from 'node:http'
import type { RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { closeServer, createNodeHandler } from '../src/adapters/node.ts'
import { createRouter } from '../src/router.ts'
import { examples } from './documents.ts'

/** The reference server is installed with the benchmarks, which need it as a rival. */
const reference = join(
  import.meta.dirname,
  '../../../bench/node_modules/@atproto/xrpc-server/dist/index.js',
)
export const installed: boolean = existsSync(reference)
if (!installed) {
  process.emitWarning('skipped: the reference server is not installed (run the benchmarks once)')
}

type ReferenceHandler = (call: {
  readonly params: Readonly<Record<string, unknown>>
  readonly input: { readonly body: unknown }
}) => Promise<unknown>

/** The parts of the reference that the tests use. */
export interface ReferenceModule {
  readonly createServer: (documents: readonly unknown[]) => {
    method(nsid: string, handler: ReferenceHandler): void
    streamMethod(
      nsid: string,
      handler: (call: {
        readonly params: Readonly<Record<string, unknown>>
      }) => AsyncIterable<unknown>,
    ): void
    readonly router: RequestListener
  }
  readonly Subscription: new (options: {
    readonly service: string
    readonly method: string
    readonly getParams: () => Readonly<Record<string, unknown>>
    readonly validate: (message: unknown) => unknown
  }) => AsyncIterable<unknown>
  readonly InvalidRequestError: new (message: string, error?: string) => Error
}

/** The example methods, served by this package. */
export function ours(): RequestListener {
  const router = createRouter({ lexicons: examples })
    .add('com.example.getThing', {
      handler: ({ params, error }) => {
        if (params.name === 'missing') throw error('ThingNotFound', 'no such thing')
        if (params.name === 'crash') throw new Error('secret')
        return { ...params }
      },
    })
    .add('com.example.putThing', { handler: ({ input }) => ({ echo: { note: input.note } }) })
    .add('com.example.upload', {
      handler: async ({ input }) => {
        let size = 0
        for await (const chunk of input) size += chunk.length
        return { size }
      },
    })
    .add('com.example.download', { handler: ({ params }) => new Uint8Array(params.size) })
    .add('com.example.ping', { handler: () => undefined })
  return createNodeHandler(router)
}

/** The reference, of which {@link installed} tells whether it is there. */
export async function loadReference(): Promise<ReferenceModule> {
  return (await import(pathToFileURL(reference).href)) as ReferenceModule
}

/** The same methods, served by the reference. */
export async function theirs(): Promise<RequestListener> {
  const module = await loadReference()
  const documents = examples.ids.map((id) => structuredClone(examples.get(id)))
  const server = module.createServer(documents)
  const json = (body: unknown): unknown => ({ encoding: 'application/json', body })
  server.method('com.example.getThing', async ({ params }) => {
    if (params['name'] === 'missing') {
      throw new module.InvalidRequestError('no such thing', 'ThingNotFound')
    }
    if (params['name'] === 'crash') throw new Error('secret')
    return json(params)
  })
  server.method('com.example.putThing', async ({ input }) => {
    const { note } = input.body as { note: unknown }
    return json({ echo: { note } })
  })
  server.method('com.example.upload', async ({ input }) => {
    let size = 0
    for await (const chunk of input.body as AsyncIterable<Uint8Array>) size += chunk.length
    return json({ size })
  })
  server.method('com.example.download', async ({ params }) => ({
    encoding: 'application/vnd.ipld.car',
    body: new Uint8Array(Number(params['size'])),
  }))
  server.method('com.example.ping', async () => undefined)
  return server.router
}

export async function listen(
  listener: RequestListener,
): Promise<{ url: string } & AsyncDisposable> {
  const server = createServer(listener)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => closeServer(server, { timeoutMs: 100 }),
  }
}
