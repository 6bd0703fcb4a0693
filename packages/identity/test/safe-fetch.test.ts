import { getEventListeners, once } from 'node:events'
import { createServer } from 'node:http'
import type { RequestListener, Server } from 'node:http'
import { createServer as createTcpServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { brotliCompressSync, gzipSync } from 'node:zlib'
import { afterEach, describe, expect, it } from 'vitest'
import {
  ForbiddenAddressError,
  ResponseTooLargeError,
  createGuardedFetch,
  isPublicAddress,
} from '../src/index.ts'
import { createSafeFetch } from '../src/node/index.ts'

setFlagsFromString('--expose-gc')
// `gc` of V8, which a new context has from here on.
const collectGarbage = runInNewContext('gc') as () => void

const servers: Server[] = []
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections()
    server.close()
  }
})

async function listen(listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, '127.0.0.1')
  servers.push(server)
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return `http://127.0.0.1:${port}`
}

describe('isPublicAddress', () => {
  const refused = [
    '0.0.0.0',
    '10.1.2.3',
    '100.64.0.1',
    '127.0.0.1',
    '127.255.255.255',
    '168.63.129.16',
    '169.254.169.254',
    '172.16.0.1',
    '172.31.255.255',
    '192.0.0.1',
    '192.0.2.1',
    '192.88.99.1',
    '192.168.1.1',
    '198.18.0.1',
    '198.19.255.255',
    '198.51.100.1',
    '203.0.113.1',
    '224.0.0.1',
    '239.255.255.255',
    '240.0.0.1',
    '255.255.255.255',
    '::',
    '::1',
    '::ffff:127.0.0.1',
    '::ffff:7f00:1',
    '::ffff:10.0.0.1',
    '::127.0.0.1',
    '64:ff9b::a00:1',
    '64:ff9b:1::1',
    'fc00::1',
    'fdff::1',
    'fe80::1',
    'fec0::1',
    'ff02::1',
    '2001::1',
    '2001:10::1',
    '2001:20::1',
    '2001:db8::1',
    '2002:7f00:1::',
    '2002:a00:1::1',
    '3fff::1',
    '100::1',
    '5f00::1',
    '4000::1',
    'fd00:ec2::254',
  ]
  const allowed = [
    '1.1.1.1',
    '8.8.8.8',
    '100.63.255.255',
    '100.128.0.1',
    '172.15.0.1',
    '172.32.0.1',
    '192.0.1.1',
    '198.17.0.1',
    '198.20.0.1',
    '223.255.255.255',
    '2606:4700:4700::1111',
    '2001:4860:4860::8888',
    '2a00:1450::1',
    '::ffff:8.8.8.8',
    '64:ff9b::808:808',
    '2002:808:808::1',
    '2001:200::1',
  ]
  const nonsense = [
    '',
    'localhost',
    '1.2.3',
    '256.1.1.1',
    '1.2.3.4.5',
    ':::',
    '1::2::3',
    '12345::',
    'fe80::1%eth0',
    'g::1',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
  ]
  it.each([...refused, ...nonsense])('refuses %s', (address) => {
    expect(isPublicAddress(address)).toBe(false)
  })
  it.each(allowed)('allows %s', (address) => {
    expect(isPublicAddress(address)).toBe(true)
  })
})

describe('createGuardedFetch', () => {
  const never = createGuardedFetch({ fetch: () => Promise.reject(new Error('was asked')) })
  it.each([
    'http://example.org/',
    'ftp://example.org/',
    'file:///etc/passwd',
    'https://example.org:8443/',
    'https://127.0.0.1/',
    'https://2130706433/',
    'https://0x7f.1/',
    'https://[::1]/',
    'https://[::ffff:127.0.0.1]/',
    'https://169.254.169.254/latest/meta-data/',
    'https://localhost/',
    'https://localhost./',
    'https://metadata.google.internal/',
    'https://printer.local/',
    'https://intranet/',
    `https://example.org/${'x'.repeat(9000)}`,
  ])('refuses %s before asking', async (url) => {
    await expect(never(url)).rejects.toThrow(ForbiddenAddressError)
  })

  it.each(['https://user:pass@example.org/', 'https://user@example.org/', 'nonsense', '', '/path'])(
    'refuses %j, of which no Request can be made, by type too',
    async (url) => {
      await expect(never(url)).rejects.toThrow(ForbiddenAddressError)
    },
  )

  it('checks every hop, and keeps credentials to their origin', async () => {
    const seen: [string, string | null][] = []
    const hops: Record<string, string> = {
      'https://a.example.org/': 'https://b.example.org/',
      'https://b.example.org/': '/c',
      'https://b.example.org/c': 'https://10.0.0.1/secret',
    }
    const fetch = createGuardedFetch({
      fetch: async (input, init) => {
        await Promise.resolve()
        const request = new Request(input, init)
        seen.push([request.url, request.headers.get('authorization')])
        return new Response(null, { status: 302, headers: { location: hops[request.url] ?? '' } })
      },
    })
    const headers = { authorization: 'Bearer x' }
    await expect(fetch('https://a.example.org/', { headers })).rejects.toThrow(
      ForbiddenAddressError,
    )
    expect(seen).toEqual([
      ['https://a.example.org/', 'Bearer x'],
      ['https://b.example.org/', null],
      ['https://b.example.org/c', null],
    ])
  })

  it('gives up on redirect loops, and honours manual and error', async () => {
    let asked = 0
    const fetch = createGuardedFetch({
      maxRedirects: 4,
      fetch: async () => {
        await Promise.resolve()
        asked++
        return new Response(null, {
          status: 301,
          headers: { location: 'https://example.org/again' },
        })
      },
    })
    await expect(fetch('https://example.org/')).rejects.toThrow('too many redirects')
    expect(asked).toBe(5)
    expect((await fetch('https://example.org/', { redirect: 'manual' })).status).toBe(301)
    await expect(fetch('https://example.org/', { redirect: 'error' })).rejects.toThrow(
      ForbiddenAddressError,
    )
  })

  it('keeps method and body on 307, and turns a POST into a GET on 303', async () => {
    const seen: string[] = []
    const fetch = createGuardedFetch({
      fetch: async (input, init) => {
        const request = new Request(input, init)
        seen.push(`${request.method} ${request.url} ${await request.text()}`)
        const status = request.url.endsWith('/1') ? 307 : request.url.endsWith('/2') ? 303 : 200
        const location = status === 307 ? 'https://example.org/2' : 'https://example.org/3'
        return new Response(null, { status, headers: { location } })
      },
    })
    await fetch('https://example.org/1', { method: 'POST', body: 'data' })
    expect(seen).toEqual([
      'POST https://example.org/1 data',
      'POST https://example.org/2 data',
      'GET https://example.org/3 ',
    ])
  })
})

describe('a fetch that does not heed its signal', () => {
  it('is given up when the time is over, or its caller gives up', async () => {
    const never = new Promise<never>(() => undefined)
    const stalled = new ReadableStream<Uint8Array>({
      start: (controller) => {
        controller.enqueue(Uint8Array.of(1))
      },
      pull: () => never,
    })
    const deaf = [() => never, () => Promise.resolve(new Response(stalled))]
    for (const fetch of deaf) {
      const impatient = createGuardedFetch({ fetch, timeoutMs: 20 })
      const reading = impatient('https://a.example.org/').then((response) => response.text())
      await expect(reading).rejects.toMatchObject({ name: 'TimeoutError' })
      const abort = new AbortController()
      const asking = createGuardedFetch({ fetch: () => never })('https://a.example.org/', {
        signal: abort.signal,
      })
      abort.abort(new Error('enough'))
      await expect(asking).rejects.toThrow('enough')
    }
  })
})

describe('createSafeFetch', () => {
  it('refuses names that lead to private addresses, every one of them, and never connects', async () => {
    let connections = 0
    const url = new URL(
      await listen((_request, response) => {
        connections++
        response.end('secret')
      }),
    )
    for (const addresses of [
      [{ address: '127.0.0.1', family: 4 }],
      [
        { address: '93.184.216.34', family: 4 },
        { address: '10.0.0.1', family: 4 },
      ],
      [{ address: '::1', family: 6 }],
    ]) {
      const fetch = createSafeFetch({ resolveAddresses: () => Promise.resolve(addresses) })
      await expect(fetch(`https://rebind.example.org/`)).rejects.toThrow(ForbiddenAddressError)
    }
    expect(connections).toBe(0)
    expect(url.hostname).toBe('127.0.0.1')
  })

  it('connects to the address it checked: one lookup per connection', async () => {
    const url = new URL(await listen((_request, response) => response.end('hello')))
    let lookups = 0
    const fetch = createSafeFetch({
      dev: true,
      resolveAddresses: (hostname) => {
        lookups++
        expect(hostname).toBe('pds.example.org')
        return Promise.resolve([{ address: '127.0.0.1', family: 4 }])
      },
    })
    const response = await fetch(`http://pds.example.org:${url.port}/x?y=1`)
    expect([response.status, await response.text(), response.url]).toEqual([
      200,
      'hello',
      `http://pds.example.org:${url.port}/x?y=1`,
    ])
    expect(lookups).toBe(1)
  })

  it('sends bodies and headers, and reads statuses, headers and compressed bodies', async () => {
    const base = await listen((request, response) => {
      const chunks: Buffer[] = []
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.on('end', () => {
        if (request.url === '/gzip') {
          response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync('squeezed'))
        } else if (request.url === '/br') {
          response.writeHead(200, { 'content-encoding': 'br' }).end(brotliCompressSync('squeezed'))
        } else if (request.url === '/none') {
          response.writeHead(204).end()
        } else {
          response.writeHead(201, { 'x-method': request.method, 'set-cookie': ['a=1', 'b=2'] })
          response.end(`${String(request.headers['x-test'])} ${Buffer.concat(chunks).toString()}`)
        }
      })
    })
    const fetch = createSafeFetch({ dev: true })
    const posted = await fetch(base, { method: 'POST', body: 'data', headers: { 'x-test': 'yes' } })
    expect([posted.status, posted.headers.get('x-method'), await posted.text()]).toEqual([
      201,
      'POST',
      'yes data',
    ])
    expect(posted.headers.getSetCookie()).toEqual(['a=1', 'b=2'])
    expect(await (await fetch(`${base}/gzip`)).text()).toBe('squeezed')
    expect(await (await fetch(`${base}/br`)).text()).toBe('squeezed')
    expect((await fetch(`${base}/none`)).status).toBe(204)
  })

  it('stops reading a gzip bomb, an endless body and a body that never ends', async () => {
    const bomb = gzipSync(Buffer.alloc(50_000_000))
    const base = await listen((request, response) => {
      if (request.url === '/bomb') {
        response.writeHead(200, { 'content-encoding': 'gzip' }).end(bomb)
        return
      }
      response.writeHead(200)
      if (request.url === '/slow') {
        response.write('a')
        return
      }
      const pump = () => {
        while (!response.destroyed && response.write(Buffer.alloc(65_536)));
      }
      response.on('drain', pump)
      pump()
    })
    const fetch = createSafeFetch({ dev: true, maxBytes: 1_000_000 })
    await expect((await fetch(`${base}/bomb`)).text()).rejects.toThrow(ResponseTooLargeError)
    await expect((await fetch(`${base}/endless`)).text()).rejects.toThrow(ResponseTooLargeError)
    const impatient = createSafeFetch({ dev: true, timeoutMs: 50 })
    await expect(
      impatient(`${base}/slow`).then((response) => response.text()),
    ).rejects.toMatchObject({ name: 'TimeoutError' })
  })

  it('survives bodies that are dropped with data on the way', async () => {
    const base = await listen((request, response) => {
      response.write('hello'.repeat(1000))
      if (request.url === '/end') response.end()
    })
    const fetch = createSafeFetch({ dev: true })
    const small = createSafeFetch({ dev: true, maxBytes: 10 })
    for (let turn = 0; turn < 20; turn++) {
      const url = turn % 2 === 0 ? base : `${base}/end`
      const abort = new AbortController()
      const reading = (await fetch(url, { signal: abort.signal })).text()
      abort.abort(new Error('enough'))
      await expect(reading).rejects.toThrow('enough')
      await (await fetch(url)).body?.cancel()
      const reader = (await fetch(url)).body?.getReader()
      expect((await reader?.read())?.value?.length).toBeGreaterThan(0)
      await reader?.cancel()
      await expect((await small(url)).text()).rejects.toThrow(ResponseTooLargeError)
    }
    // What was thrown into the void would fail the run.
    await new Promise((resolve) => setImmediate(resolve))
  })

  it('ends a body that is aborted with the reason it was aborted for', async () => {
    const base = await listen((request, response) => {
      if (request.url === '/gzip') response.setHeader('content-encoding', 'gzip')
      response.writeHead(200)
      response.write(request.url === '/gzip' ? gzipSync('hello').subarray(0, 12) : 'hello')
    })
    const fetch = createSafeFetch({ dev: true })
    for (const path of ['/', '/gzip']) {
      const abort = new AbortController()
      const response = await fetch(base + path, { signal: abort.signal })
      const reading = response.text()
      abort.abort(new Error('enough'))
      await expect(reading).rejects.toThrow('enough')
    }
  })

  it('heeds a signal aborted long after the answer began, when what was in between is collected', async () => {
    const base = await listen((_request, response) => {
      response.writeHead(200)
      response.write('hello')
    })
    const options = { dev: true, timeoutMs: 20_000 }
    for (const fetch of [createSafeFetch(options), createGuardedFetch(options)]) {
      for (const ask of [
        (signal: AbortSignal) => fetch(base, { signal }),
        (signal: AbortSignal) => fetch(new Request(base, { signal })),
      ]) {
        const abort = new AbortController()
        const reading = (await ask(abort.signal)).text()
        // A collection of what a turn of the event loop let go of.
        for (let turn = 0; turn < 3; turn++) {
          await new Promise((resolve) => setImmediate(resolve))
          collectGarbage()
        }
        abort.abort(new Error('enough'))
        await expect(reading).rejects.toThrow('enough')
      }
    }
  })

  it('leaves nothing on the signal of its caller, however a request ends', async () => {
    const base = await listen((request, response) => {
      if (request.url === '/hang') return
      if (request.url === '/redirect') response.writeHead(302, { location: 'ftp://x.org/' }).end()
      else if (request.url === '/none') response.writeHead(204).end()
      else if (request.url === '/gzip')
        response.writeHead(200, { 'content-encoding': 'gzip' }).end('not gzip')
      else if (request.url === '/slow') response.writeHead(200).write('hello')
      else response.writeHead(200).end('hello')
    })
    const { signal } = new AbortController()
    const left = () => getEventListeners(signal, 'abort').length
    for (const create of [createSafeFetch, createGuardedFetch]) {
      const fetch = create({ dev: true, maxBytes: 5 })
      expect(await (await fetch(base, { signal })).text()).toBe('hello')
      expect(left()).toBe(0)
      expect((await fetch(`${base}/none`, { signal })).status).toBe(204)
      expect(left()).toBe(0)
      await expect(fetch(`${base}/redirect`, { signal })).rejects.toThrow(ForbiddenAddressError)
      expect(left()).toBe(0)
      const broken = await fetch(`${base}/gzip`, { signal })
      await expect(broken.text()).rejects.toThrow(Error)
      expect(left()).toBe(0)
      const unwanted = await fetch(`${base}/slow`, { signal })
      await unwanted.body?.cancel()
      expect(left()).toBe(0)
      const long = await create({ dev: true, maxBytes: 4 })(base, { signal })
      await expect(long.text()).rejects.toThrow(ResponseTooLargeError)
      expect(left()).toBe(0)
      const impatient = create({ dev: true, timeoutMs: 50 })
      for (const path of ['/hang', '/slow']) {
        const reading = impatient(base + path, { signal }).then((response) => response.text())
        await expect(reading).rejects.toMatchObject({ name: 'TimeoutError' })
        expect(left()).toBe(0)
      }
    }
  })

  it('fails when a server switches protocols unasked', async () => {
    const server = createTcpServer((socket) => {
      socket.on('error', () => undefined)
      socket.once('data', () => {
        socket.write(
          'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n',
        )
      })
    }).listen(0, '127.0.0.1')
    try {
      await once(server, 'listening')
      const { port } = server.address() as AddressInfo
      await expect(createSafeFetch({ dev: true })(`http://127.0.0.1:${port}/`)).rejects.toThrow(
        'without an answer',
      )
    } finally {
      server.close()
    }
  })

  it.each([
    ['HTTP/1.1 600 Unheard Of', false],
    ['HTTP/1.1 205 Reset Content', true],
  ])('leaves no connection behind after %s with a body without end', async (line, answers) => {
    const closed = Promise.withResolvers<void>()
    const server = createTcpServer((socket) => {
      socket.on('error', () => undefined)
      socket.on('close', () => {
        closed.resolve()
      })
      socket.once('data', () => {
        socket.write(`${line}\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n`)
      })
    }).listen(0, '127.0.0.1')
    try {
      await once(server, 'listening')
      const { port } = server.address() as AddressInfo
      const answered = createSafeFetch({ dev: true })(`http://127.0.0.1:${port}/`)
      const outcome = await answered.then(
        () => true,
        () => false,
      )
      expect(outcome).toBe(answers)
      await closed.promise
    } finally {
      server.close()
    }
  })

  it('fails on broken compression, refused connections and aborts', async () => {
    const base = await listen((request, response) => {
      if (request.url === '/hang') return
      response.writeHead(200, { 'content-encoding': 'gzip' }).end('not gzip')
    })
    const fetch = createSafeFetch({ dev: true })
    await expect((await fetch(base)).text()).rejects.toThrow(Error)
    const abort = new AbortController()
    const hanging = fetch(`${base}/hang`, { signal: abort.signal })
    abort.abort(new Error('enough'))
    await expect(hanging).rejects.toThrow('enough')
    await expect(fetch('http://127.0.0.1:1/')).rejects.toThrow('ECONNREFUSED')
  })
})
