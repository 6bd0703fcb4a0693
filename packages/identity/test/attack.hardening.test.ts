import { once } from 'node:events'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { IdentityError, createDohResolveTxt, createResolver } from '../src/index.ts'
import type { DidDocument } from '../src/index.ts'
import { parseTxtData } from '../src/handle/doh.ts'
import { createSafeFetch } from '../src/node/index.ts'
import { createPlcClient, readPlcExportStream } from '../src/plc/index.ts'
import { packDocument, unpackDocument } from '../src/resolver/compact-document.ts'
import { damageEveryByte, forkedLog } from './support/damaged-log.ts'

const DID = 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa'
const PLC = 'https://plc.example.com'

/** What a server may answer: any JSON, JSON of nearly the right shape, and what is no JSON. */
const body = fc.oneof(
  fc.json(),
  fc.string(),
  fc
    .record(
      {
        id: fc.constantFrom(DID, 'did:web:a.example.org', 7),
        did: fc.constantFrom(DID, null),
        alsoKnownAs: fc.oneof(fc.array(fc.string()), fc.jsonValue()),
        rotationKeys: fc.jsonValue(),
        verificationMethods: fc.jsonValue(),
        services: fc.jsonValue(),
        operation: fc.jsonValue(),
        Status: fc.constantFrom(0, 2, 3, '0'),
        Answer: fc.oneof(
          fc.array(fc.record({ type: fc.constant(16), data: fc.string() })),
          fc.jsonValue(),
        ),
        seq: fc.jsonValue(),
        cid: fc.string(),
        createdAt: fc.string(),
        type: fc.constantFrom('plc_operation', 'sequenced_op', 'create', 'plc_tombstone'),
      },
      { requiredKeys: [] },
    )
    .map((value) => JSON.stringify(value)),
)
const status = fc.constantFrom(200, 200, 200, 201, 301, 302, 400, 404, 410, 429, 500, 503)

describe('whatever a server answers', () => {
  it('a resolver gives an identity or one of our errors, which names the step', async () => {
    let failed = 0
    await fc.assert(
      fc.asyncProperty(body, status, fc.array(fc.array(fc.string())), async (text, code, txt) => {
        const fetch = () => Promise.resolve(new Response(text, { status: code }))
        const resolvers = [
          createResolver({ fetch, maxEntries: 100, resolveTxt: () => Promise.resolve(txt) }),
          createResolver({ fetch, maxEntries: 100, dohUrl: 'https://dns.example.com/q' }),
        ]
        for (const resolver of resolvers) {
          for (const subject of [DID, 'did:web:a.example.org', 'alice.bsky.social']) {
            try {
              const identity = await resolver.resolveIdentity(subject)
              expect(identity.did).toBe(identity.document.id)
            } catch (error) {
              expect(error).toBeInstanceOf(IdentityError)
              expect(['NotFound', 'CouldNotAsk', 'Invalid']).toContain(
                (error as IdentityError).family,
              )
              expect(error).toHaveProperty('retryable')
              expect(error).toHaveProperty('step')
              failed++
            }
          }
        }
      }),
      { numRuns: 150 },
    )
    expect(failed).toBeGreaterThan(300)
  })

  it('a PLC client gives an answer of the right shape or one of our errors', async () => {
    let failed = 0
    await fc.assert(
      fc.asyncProperty(body, status, async (text, code) => {
        const client = createPlcClient({
          url: PLC,
          fetch: () => Promise.resolve(new Response(text, { status: code })),
        })
        for (const ask of [
          () => client.resolve(DID),
          () => client.data(DID),
          () => client.log(DID),
          () => client.auditLog(DID),
          () => client.lastOperation(DID),
          () => client.exportPage(),
          () => client.isHealthy(),
        ]) {
          try {
            await ask()
          } catch (error) {
            expect(error).toBeInstanceOf(IdentityError)
            failed++
          }
        }
      }),
      { numRuns: 200 },
    )
    expect(failed).toBeGreaterThan(500)
  })

  it('an export stream yields entries or fails with one of our errors', async () => {
    let failed = 0
    await fc.assert(
      fc.asyncProperty(fc.oneof(body, fc.uint8Array()), async (data) => {
        class Socket extends EventTarget {
          constructor() {
            super()
            queueMicrotask(() => {
              this.dispatchEvent(new MessageEvent('message', { data }))
              this.close()
            })
          }
          close(): void {
            this.dispatchEvent(Object.assign(new Event('close'), { code: 1000, reason: '' }))
          }
        }
        const WebSocket = Socket as unknown as typeof globalThis.WebSocket
        try {
          for await (const entry of readPlcExportStream({ url: PLC, WebSocket }))
            expect(typeof entry.did).toBe('string')
        } catch (error) {
          expect(error).toBeInstanceOf(IdentityError)
          failed++
        }
      }),
      { numRuns: 200 },
    )
    expect(failed).toBeGreaterThan(100)
  })

  it('TXT data in presentation form gives text back, and takes time in proportion to its length', () => {
    const quote = (text: string): string => `"${text.replace(/["\\]/g, (char) => `\\${char}`)}"`
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'grapheme-ascii' }), { minLength: 1 }), (chunks) => {
        expect(parseTxtData(chunks.map(quote).join(' '))).toEqual(chunks)
      }),
    )
    expect(parseTxtData('"\\100\\105d=x"')).toEqual(['did=x'])
    const began = performance.now()
    parseTxtData('"\\'.repeat(32_768))
    parseTxtData(`"${'\\"'.repeat(32_768)}`)
    // Half a minute, when every quote begins another look at all that follows.
    expect(performance.now() - began).toBeLessThan(1000)
  })

  it('DNS over HTTPS fails as DNS does on an answer without end', async () => {
    const endless = new ReadableStream<Uint8Array>({
      pull(controller) {
        controller.enqueue(new Uint8Array(16_384).fill(0x20))
      },
    })
    const resolveTxt = createDohResolveTxt({
      url: 'https://dns.example.com/q',
      fetch: () => Promise.resolve(new Response(endless)),
    })
    await expect(resolveTxt('_atproto.a.com')).rejects.toMatchObject({ code: 'ResponseTooLarge' })
  })

  it('bytes that are no HTTP end a fetch in bounded time', async () => {
    const answers: Uint8Array[] = []
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 64 }),
        fc.constantFrom(
          '',
          'HTTP/1.1 200 OK\r\n',
          'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n',
          'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n',
          'HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n',
          'HTTP/1.1 200 OK\r\ncontent-encoding: br\r\n\r\n',
          'HTTP/1.1 302 Found\r\nlocation: ',
          'HTTP/1.1 103 Early Hints\r\n\r\n',
        ),
        (garbage, head) => {
          answers.push(Uint8Array.from([...Buffer.from(head), ...garbage]))
        },
      ),
      { numRuns: 80 },
    )
    let turn = 0
    const server = createServer((socket) => {
      socket.on('error', () => undefined)
      socket.once('data', () => socket.end(answers[turn] ?? ''))
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const fetch = createSafeFetch({ dev: true, timeoutMs: 2000, maxBytes: 1000 })
    let failed = 0
    for (turn = 0; turn < answers.length; turn++) {
      await fetch(`http://127.0.0.1:${port}/`)
        .then((response) => response.text())
        .catch((error: unknown) => {
          expect(error).toBeInstanceOf(Error)
          failed++
        })
    }
    server.close()
    expect(failed).toBeGreaterThan(30)
  })
})

describe('compact documents', () => {
  it('give back any document exactly', () => {
    const text = fc.oneof(
      fc.string(),
      fc.constantFrom('at://a.com', 'https://pds.example.com', 'z q'),
    )
    const document = fc.record(
      {
        id: fc.constant(DID),
        alsoKnownAs: fc.array(text, { maxLength: 2 }),
        verificationMethod: fc.array(
          fc.record({
            id: fc.constantFrom('#atproto', `${DID}#atproto`),
            type: fc.constantFrom('Multikey', 'Other'),
            controller: fc.constantFrom(DID, 'did:web:a.com'),
            publicKeyMultibase: text,
          }),
          { maxLength: 2 },
        ),
        service: fc.array(
          fc.record({
            id: fc.constant('#atproto_pds'),
            type: fc.constant('AtprotoPersonalDataServer'),
            serviceEndpoint: text,
          }),
          { maxLength: 2 },
        ),
        extra: fc.jsonValue({ maxDepth: 2 }),
      },
      { requiredKeys: ['id'] },
    )
    fc.assert(
      fc.property(document, (value) => {
        const json = JSON.parse(JSON.stringify(value)) as DidDocument
        expect(unpackDocument(DID, packDocument(json))).toEqual(json)
      }),
      { numRuns: 500 },
    )
  })
})

describe('an audit log with a byte changed', () => {
  it('is refused, unless only a time changed', async () => {
    const { did, log } = await forkedLog()
    // Every byte is for the long test.
    const counts = damageEveryByte(did, log, 13)
    expect(counts.refused).toBeGreaterThan(counts.tried / 2)
    expect(counts.retimed).toBeLessThanOrEqual((log.length * 24) / 13 + log.length)
  })
})
