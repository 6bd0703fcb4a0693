import { describe, expect, it } from 'vitest'
import {
  DidNotFoundError,
  InvalidDidDocumentError,
  createMemoryIdentityCache,
  createResolver,
} from '../src/index.ts'
import type { DidDocument, IdentityCache } from '../src/index.ts'
import { generatePrivateKey } from '../src/keys/index.ts'
import { openSqliteIdentityCache } from '../src/node/index.ts'
import { plcDidDocument } from '../src/plc/index.ts'
import { packDocument, unpackDocument } from '../src/resolver/compact-document.ts'
import { fixtureJson, haveFixtures } from './fixtures.ts'

const DID = 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa'

function account(handle: string): DidDocument {
  return plcDidDocument({
    did: DID,
    rotationKeys: [],
    verificationMethods: { atproto: generatePrivateKey('p256').didKey },
    alsoKnownAs: [`at://${handle}`],
    services: {
      atproto_pds: { type: 'AtprotoPersonalDataServer', endpoint: 'https://pds.example.com' },
    },
  })
}

describe('compact documents', () => {
  it('give back exactly what was packed, small for plain accounts', () => {
    const plain = account('alice.bsky.social')
    expect(unpackDocument(DID, packDocument(plain))).toEqual(plain)
    expect(packDocument(plain).length).toBeLessThan(150)
    const odd: DidDocument[] = [
      { id: DID },
      { ...plain, alsoKnownAs: ['at://Alice.bsky.social'] },
      { ...plain, alsoKnownAs: ['at://a.com', 'at://b.com'] },
      { ...plain, extra: true },
      {
        ...plain,
        service: [...plain.service!, { id: '#x', type: 'X', serviceEndpoint: 'https://x.com' }],
      },
      {
        ...plain,
        service: [{ ...plain.service![0]!, serviceEndpoint: 'https://pds.example.com/' }],
      },
      { ...plain, '@context': ['https://www.w3.org/ns/did/v1'] },
    ]
    for (const document of odd)
      expect(unpackDocument(DID, packDocument(document))).toEqual(document)
  })

  it.skipIf(!haveFixtures)('pack all 148 live documents, most of them to a fifth', () => {
    const documents = Object.values(
      fixtureJson('live-firehose/did-docs.json') as Record<string, DidDocument>,
    )
    expect(documents).toHaveLength(148)
    let small = 0
    for (const document of documents) {
      const text = packDocument(document)
      expect(unpackDocument(document.id, text)).toEqual(document)
      if (text.length < 200) small++
    }
    expect(small).toBeGreaterThan(130)
  })
})

describe.each<[string, () => IdentityCache]>([
  ['memory', () => createMemoryIdentityCache(100)],
  ['sqlite', () => openSqliteIdentityCache({ database: ':memory:', maxEntries: 100 })],
])('identity cache in %s', (_name, openCache) => {
  it('serves a new resolver what an old one fetched, with its age', async () => {
    const cache = openCache()
    let nowMs = 1_000_000
    let requests = 0
    let document: DidDocument | undefined = account('alice.bsky.social')
    const open = () =>
      createResolver({
        cache,
        now: () => nowMs,
        fetch: async () => {
          requests++
          await Promise.resolve()
          return document === undefined
            ? new Response('', { status: 404 })
            : Response.json(document)
        },
      })
    await open().resolveDid(DID)
    nowMs += 60_000
    const second = open()
    expect(await second.resolveDid(DID)).toMatchObject({ source: 'cache', ageMs: 60_000 })
    expect((await second.resolveDid(DID)).document).toEqual(document)
    expect(requests).toBe(1)
    nowMs -= 120_000
    expect((await open().resolveDid(DID)).source).toBe('network')
    nowMs += 120_000
    second.purge(DID)
    expect((await open().resolveDid(DID)).source).toBe('network')
    document = undefined
    nowMs += 60_000
    await expect(open().resolveDid(DID, { refresh: true })).rejects.toThrow(DidNotFoundError)
    await expect(open().resolveDid(DID)).rejects.toThrow(DidNotFoundError)
    expect(cache.get(DID)).toBeUndefined()
  })

  it('asks the network when what was kept cannot be read', async () => {
    const cache = openCache()
    const document = account('alice.bsky.social')
    for (const text of ['{', '{}', '', 'null', 'a b']) {
      cache.set(DID, { fetchedAtMs: 999_999, text })
      const fresh = createResolver({
        cache,
        now: () => 1_000_000,
        fetch: () => Promise.resolve(Response.json(document)),
      })
      expect((await fresh.resolveDid(DID)).source, text).toBe('network')
      fresh.purge(DID)
    }
  })

  it('keeps no more than it may', () => {
    const cache = openCache()
    for (let index = 0; index < 1000; index++) {
      cache.set(`did:plc:${index}`, { fetchedAtMs: index, text: 'x' })
    }
    let kept = 0
    for (let index = 0; index < 1000; index++) {
      if (cache.get(`did:plc:${index}`) !== undefined) kept++
    }
    expect(kept).toBeGreaterThanOrEqual(100)
    expect(kept).toBeLessThanOrEqual(201)
    expect(cache.get('did:plc:999')).toEqual({ fetchedAtMs: 999, text: 'x' })
  })
})

describe('a document whose key and service share an id', () => {
  it('is refused when that is asked for, out of a cache too', async () => {
    const plain = account('alice.bsky.social')
    const ambiguous: DidDocument = {
      ...plain,
      service: [
        ...plain.service!,
        { id: '#atproto', type: 'Other', serviceEndpoint: 'https://a.b' },
      ],
    }
    const cache = createMemoryIdentityCache(100)
    let requests = 0
    let document = ambiguous
    const open = (refuseSharedIds: boolean) =>
      createResolver({
        cache,
        refuseSharedIds,
        fetch: () => {
          requests++
          return Promise.resolve(Response.json(document))
        },
      })
    expect((await open(false).resolveDid(DID)).document).toEqual(ambiguous)
    expect(cache.get(DID)).toBeDefined()
    await expect(open(true).resolveDid(DID)).rejects.toThrow(InvalidDidDocumentError)
    expect(cache.get(DID)).toBeUndefined()
    document = plain
    expect((await open(true).resolveDid(DID)).document).toEqual(plain)
    expect((await open(true).resolveDid(DID)).source).toBe('cache')
    expect(requests).toBe(3)
  })
})

describe('a failing identity cache', () => {
  it('costs the cache, not the answer', async () => {
    const fail = (): never => {
      throw new Error('disk full')
    }
    const outcomes: string[] = []
    const resolver = createResolver({
      cache: { get: fail, set: fail, delete: () => undefined },
      fetch: () => Promise.resolve(Response.json(account('alice.bsky.social'))),
      onEvent: ({ outcome }) => outcomes.push(outcome),
    })
    expect((await resolver.resolveDid(DID)).source).toBe('network')
    expect((await resolver.resolveDid(DID)).source).toBe('cache')
    expect(outcomes).toEqual(['cache-failed', 'cache-failed', 'fetched', 'hit'])
  })
})
