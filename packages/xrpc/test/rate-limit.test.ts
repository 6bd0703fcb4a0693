import { describe, expect, it } from 'vitest'
import type { LimitContext } from '../src/method.ts'
import { createMemoryRateLimitStore, createRateLimit } from '../src/rate-limit.ts'
import { createRouter } from '../src/router.ts'
import { fromWebRequest } from '../src/web-request.ts'
import { examples } from './documents.ts'

const NOW = 1_000_000_000_000

describe('rate limits', () => {
  it('count by key and cost, share windows between methods, and say how they stand', async () => {
    let time = NOW
    const now = (): number => time
    const shared = createRateLimit<LimitContext<string>>({
      name: 'writes',
      points: 5,
      windowSeconds: 10,
      key: ({ auth }) => (auth === 'admin' ? undefined : auth),
      cost: ({ nsid }) => (nsid.endsWith('putThing') ? 3 : 1),
      now,
    })
    const router = createRouter({ lexicons: examples })
      .add('com.example.putThing', {
        auth: ({ request }) => request.headers.get('authorization') ?? '',
        limits: [shared],
        handler: () => ({}),
      })
      .add('com.example.ping', {
        auth: ({ request }) => request.headers.get('authorization') ?? '',
        limits: [shared],
        handler: () => undefined,
      })
    const call = async (nsid: string, who: string): Promise<Response> =>
      router.fetch(
        new Request(`http://localhost/xrpc/com.example.${nsid}`, {
          method: 'POST',
          headers: { authorization: who, 'content-type': 'application/json' },
          ...(nsid === 'ping' ? {} : { body: '{"name":"a","record":{}}' }),
        }),
      )
    const first = await call('putThing', 'alice')
    expect(first.status).toBe(200)
    expect(Object.fromEntries(first.headers)).toMatchObject({
      'ratelimit-limit': '5',
      'ratelimit-remaining': '2',
      'ratelimit-reset': String(NOW / 1000 + 10),
      'ratelimit-policy': '5;w=10',
    })
    expect((await call('ping', 'alice')).headers.get('ratelimit-remaining')).toBe('1')
    const refused = await call('putThing', 'alice')
    expect(refused.status).toBe(429)
    expect(await refused.json()).toMatchObject({ error: 'RateLimitExceeded' })
    expect(refused.headers.get('retry-after')).toBe('10')
    expect(refused.headers.get('ratelimit-remaining')).toBe('0')
    expect((await call('ping', 'bob')).status).toBe(200)
    for (let i = 0; i < 20; i++) expect((await call('putThing', 'admin')).status).toBe(200)
    time += 10_000
    expect((await call('putThing', 'alice')).status).toBe(200)
  })

  it('of the router apply to everything, by address', async () => {
    const router = createRouter({
      lexicons: examples,
      limits: [createRateLimit({ name: 'all', points: 2, windowSeconds: 60 })],
    }).fallback(async () => new Response('ok'))
    const statuses: number[] = []
    for (const ip of ['a', 'a', 'b', 'a']) {
      const request = fromWebRequest(new Request('http://localhost/xrpc/com.example.x'), ip)
      statuses.push((await router.handle(request)).status)
    }
    expect(statuses).toEqual([200, 200, 200, 429])
  })

  it.each<[string, (string | undefined)[]]>([
    ['of which nobody knows the address', [undefined, undefined]],
    ['from one IPv6 network', ['2001:db8:0:1::1', '2001:DB8::1:ffff:0:0:2']],
    ['from one IPv6 network, with zones', ['fe80::1%eth0', 'fe80:0:0::2%eth1']],
    ['from one IPv4 address in both spellings', ['::ffff:192.0.2.1', '192.0.2.1']],
  ])('count calls %s together', async (_what, addresses) => {
    const limit = createRateLimit({ name: 'all', points: 10, windowSeconds: 60 })
    const left: unknown[] = []
    for (const ip of addresses) {
      const request = fromWebRequest(new Request('http://localhost/xrpc/com.example.x'), ip)
      const { signal } = request
      left.push((await limit.consume({ nsid: 'com.example.x', request, signal }))?.remaining)
    }
    expect(left).toEqual([9, 8])
  })

  it.each([
    ['2001:db8:0:1::1', '2001:db8:0:2::1'],
    ['::1', '1::'],
    ['192.0.2.1', '192.0.2.2'],
  ])('keep %s and %s apart', async (...addresses) => {
    const limit = createRateLimit({ name: 'all', points: 10, windowSeconds: 60 })
    for (const ip of addresses) {
      const request = fromWebRequest(new Request('http://localhost/xrpc/com.example.x'), ip)
      const { signal } = request
      const state = await limit.consume({ nsid: 'com.example.x', request, signal })
      expect(state?.remaining).toBe(9)
    }
  })

  it('refuse limits that are none', () => {
    expect(() => createRateLimit({ name: 'a', points: 0, windowSeconds: 1 })).toThrow(RangeError)
  })
})

describe('createMemoryRateLimitStore', () => {
  it('holds a bounded number of windows', async () => {
    let time = 0
    const store = createMemoryRateLimitStore({ maxEntries: 3, now: () => time })
    for (const key of ['a', 'b', 'c', 'd']) await store.add(key, 1, 100)
    expect(await store.add('a', 1, 100)).toMatchObject({ used: 1 })
    expect(await store.add('d', 1, 100)).toMatchObject({ used: 2 })
    time = 100
    expect(await store.add('d', 1, 100)).toMatchObject({ used: 1, resetsAtMs: 200 })
  })
})
