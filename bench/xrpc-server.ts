// One query behind one of five servers: prints its URL, stops on SIGTERM. Ours and the reference check parameters and
// output; the two that are alone check nothing and answer always the same.
//   node xrpc-server.ts node|express|reference|node-alone|express-alone
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

const ANSWER = { actor: 'alice.example.com', tags: ['one', 'two'], limit: 50 }

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
  'node-alone': async () => (_request, response) => {
    const body = JSON.stringify(ANSWER)
    const headers = { 'content-type': 'application/json', 'content-length': body.length }
    response.writeHead(200, headers).end(body)
  },
  'express-alone': async () =>
    express().get('/xrpc/com.example.echo', (_request, response) => void response.json(ANSWER)),
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
