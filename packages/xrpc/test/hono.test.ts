import { Hono } from 'hono'
import { describe, expect, it } from 'vitest'
import { createClient } from '../src/client.ts'
import { createRouter } from '../src/router.ts'
import { examples } from './documents.ts'

describe('a router mounted in Hono', () => {
  const router = createRouter({ lexicons: examples })
    .add('com.example.getThing', { handler: ({ params }) => ({ name: params.name }) })
    .add('com.example.upload', {
      handler: async ({ input }) => {
        let size = 0
        for await (const chunk of input) size += chunk.length
        return { size }
      },
    })
  const app = new Hono()
  app.use(async (context, next) => {
    await next()
    context.res.headers.set('x-hono', '1')
  })
  app.all('/xrpc/*', async ({ req }) => router.fetch(req.raw))
  app.get('/', (context) => context.text('home'))
  const client = createClient({
    service: 'http://localhost',
    lexicons: examples,
    fetch: async (url, init) => app.request(url, init),
  })

  it('serves queries, uploads and errors', async () => {
    expect(await client.query('com.example.getThing', { name: 'a' })).toEqual({ name: 'a' })
    expect(await client.procedure('com.example.upload', new Uint8Array(7))).toEqual({ size: 7 })
    await expect(client.query('com.example.download')).rejects.toMatchObject({ status: 501 })
  })

  it('leaves the rest of the application alone, and its middleware in charge', async () => {
    expect(await (await app.request('/')).text()).toBe('home')
    const response = await app.request('/xrpc/_health')
    expect([response.status, response.headers.get('x-hono')]).toEqual([200, '1'])
  })
})
