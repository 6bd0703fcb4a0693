// Two procedures, of bytes and of JSON, that say how much came: prints its URL, stops on SIGTERM. GET /memory tells by how
// many MB resident memory has grown at most since the server listened.
//   node xrpc-upload-server.ts skywright|reference
import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import { createCatalog, createRouter, lexicon } from '@skywright/xrpc'
import { createNodeHandler } from '@skywright/xrpc/node'

const MAX_BYTES = 200_000_000

const upload = lexicon({
  lexicon: 1,
  id: 'com.example.upload',
  defs: {
    main: {
      type: 'procedure',
      input: { encoding: '*/*' },
      output: {
        encoding: 'application/json',
        schema: { type: 'object', required: ['size'], properties: { size: { type: 'integer' } } },
      },
    },
  },
})

const write = lexicon({
  lexicon: 1,
  id: 'com.example.write',
  defs: {
    main: {
      type: 'procedure',
      input: {
        encoding: 'application/json',
        schema: {
          type: 'object',
          required: ['posts'],
          properties: { posts: { type: 'array', items: { type: 'ref', ref: '#post' } } },
        },
      },
      output: {
        encoding: 'application/json',
        schema: { type: 'object', required: ['size'], properties: { size: { type: 'integer' } } },
      },
    },
    post: {
      type: 'object',
      required: ['text', 'createdAt'],
      properties: {
        text: { type: 'string', maxLength: 3000, maxGraphemes: 300 },
        createdAt: { type: 'string', format: 'datetime' },
        langs: { type: 'array', maxLength: 3, items: { type: 'string', format: 'language' } },
      },
    },
  },
})

const listeners: Record<string, () => Promise<RequestListener>> = {
  skywright: async () => {
    const lexicons = createCatalog(upload, write)
    const router = createRouter({ lexicons, maxBinaryBytes: MAX_BYTES })
    router.add('com.example.write', { handler: ({ input }) => ({ size: input.posts.length }) })
    router.add('com.example.upload', {
      handler: async ({ input }) => ({ size: await count(input) }),
    })
    return createNodeHandler(router)
  },
  reference: async () => {
    const { createServer: createXrpcServer } = await import('@atproto/xrpc-server')
    const payload = { blobLimit: MAX_BYTES, jsonLimit: 1_048_576 }
    const documents = [upload, write].map((document) => JSON.parse(JSON.stringify(document)))
    const server = createXrpcServer(documents, { payload })
    server.method('com.example.write', ({ input }) => ({
      encoding: 'application/json',
      body: { size: postsOf(input?.body).length },
    }))
    server.method('com.example.upload', async ({ input }) => ({
      encoding: 'application/json',
      body: { size: await count(input?.body as AsyncIterable<Uint8Array>) },
    }))
    return server.router
  },
}

function postsOf(body: unknown): readonly unknown[] {
  return (body as { readonly posts: readonly unknown[] }).posts
}

async function count(body: AsyncIterable<Uint8Array>): Promise<number> {
  let size = 0
  for await (const chunk of body) size += chunk.length
  return size
}

const listener = await listeners[process.argv[2] ?? '']?.()
if (listener === undefined) throw new Error('which server?')
const base = process.memoryUsage.rss()
let peak = base
const sampler = setInterval(() => (peak = Math.max(peak, process.memoryUsage.rss())), 20)
const server = createServer((request, response) => {
  if (request.url !== '/memory') listener(request, response)
  else response.end(String(Math.round((peak - base) / 1_000_000)))
}).listen(0, '127.0.0.1')
await once(server, 'listening')
const address = server.address()
if (address === null || typeof address === 'string') throw new Error('no TCP address')
console.log(`http://127.0.0.1:${address.port}`)
process.once('SIGTERM', () => {
  clearInterval(sampler)
  server.close()
  server.closeAllConnections()
})
