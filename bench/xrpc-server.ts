// One query, validated on both ends, behind one of four servers: prints its URL, stops on SIGTERM.
//   node xrpc-server.ts node|express|reference
import { once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import { createCatalog, createRouter, lexicon } from '@skywright/xrpc'
import { createExpressHandler } from '@skywright/xrpc/express'
import { createNodeHandler } from '@skywright/xrpc/node'
import express from 'express'

const echo = lexicon({
  lexicon: 1,
  id: 'com.example.echo',
  defs: {
    main: {
      type: 'query',
      parameters: {
        type: 'params',
        required: ['actor'],
        properties: {
          actor: { type: 'string', format: 'at-identifier' },
          limit: { type: 'integer', minimum: 1, maximum: 100, default: 50 },
          tags: { type: 'array', items: { type: 'string', maxLength: 64 } },
        },
      },
      output: {
        encoding: 'application/json',
        schema: {
          type: 'object',
          required: ['actor', 'limit'],
          properties: {
            actor: { type: 'string' },
            limit: { type: 'integer' },
            tags: { type: 'array', items: { type: 'string' } },
          },
        },
      },
    },
  },
})

const listeners: Record<string, () => Promise<RequestListener>> = {
  node: async () => createNodeHandler(router()),
  express: async () => express().use(createExpressHandler(router())),
  reference: async () => {
    const { createServer: createXrpcServer } = await import('@atproto/xrpc-server')
    const server = createXrpcServer([JSON.parse(JSON.stringify(echo))])
    server.method('com.example.echo', ({ params }) => ({
      encoding: 'application/json',
      body: params,
    }))
    return server.router
  },
}

const listener = await listeners[process.argv[2] ?? '']?.()
if (listener === undefined) throw new Error('which server?')
const server: Server = createServer(listener).listen(0, '127.0.0.1')
await once(server, 'listening')
const address = server.address()
if (address === null || typeof address === 'string') throw new Error('no TCP address')
console.log(`http://127.0.0.1:${address.port}`)
process.once('SIGTERM', () => {
  server.close()
  server.closeAllConnections()
})

function router(): Parameters<typeof createNodeHandler>[0] {
  return createRouter({ lexicons: createCatalog(echo), validateOutput: true }).add(
    'com.example.echo',
    { handler: ({ params }) => params },
  )
}
