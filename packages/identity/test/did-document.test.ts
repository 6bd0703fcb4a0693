import { ECDH } from 'node:crypto'
import { base58btc } from 'multiformats/bases/base58'
import { describe, expect, it } from 'vitest'
import {
  InvalidDidDocumentError,
  InvalidKeyError,
  InvalidSyntaxError,
  createServiceDidDocument,
  getAppViewEndpoint,
  getFeedGeneratorEndpoint,
  getHandle,
  getLabelKey,
  getLabelerEndpoint,
  getPdsEndpoint,
  getServiceEndpoint,
  getSigningKey,
  getVerificationKey,
  parseDidDocument,
} from '../src/index.ts'
import type { DidDocument } from '../src/index.ts'
import { generatePrivateKey, parsePublicKey } from '../src/keys/index.ts'
import { fixtureJson, haveFixtures } from './fixtures.ts'

const DID = 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa'
const OTHER = 'did:plc:bbbbbbbbbbbbbbbbbbbbbbbb'
const key = generatePrivateKey('k256').publicKey
const otherKey = generatePrivateKey('p256').publicKey

function method(fields: object = {}) {
  return {
    id: `${DID}#atproto`,
    type: 'Multikey',
    controller: DID,
    publicKeyMultibase: key.multibase,
    ...fields,
  }
}

function withMethods(...verificationMethod: object[]): DidDocument {
  return { id: DID, verificationMethod } as unknown as DidDocument
}

function withService(serviceEndpoint: unknown, fields: object = {}): DidDocument {
  return {
    id: DID,
    service: [
      { id: '#atproto_pds', type: 'AtprotoPersonalDataServer', serviceEndpoint, ...fields },
    ],
  }
}

function nested(depth: number): unknown {
  let value: unknown = []
  for (let n = 1; n < depth; n++) value = [value]
  return value
}

describe('parseDidDocument', () => {
  it('keeps a document as it is', () => {
    const document = {
      id: DID,
      'https://example.com/extra': [1],
      service: [{ id: '#x', type: ['A'], serviceEndpoint: {} }],
      deep: nested(31),
    }
    expect(parseDidDocument(document, DID)).toBe(document)
  })

  it.each<[string, unknown]>([
    ['null', null],
    ['a string', DID],
    ['a list', [{ id: DID }]],
    ['no id', {}],
    ['another id', { id: OTHER }],
    ['an id in another case', { id: DID.toUpperCase() }],
    ['alsoKnownAs of numbers', { id: DID, alsoKnownAs: [1] }],
    ['alsoKnownAs as a string', { id: DID, alsoKnownAs: 'at://a.com' }],
    ['verificationMethod as an object', { id: DID, verificationMethod: {} }],
    ['a service that is null', { id: DID, service: [null] }],
    ['a value nested deeper than 32', { id: DID, extra: nested(32) }],
    ['what would overflow a stack', { id: DID, extra: nested(20_000) }],
    ['a thousand and one services', { id: DID, service: Array.from({ length: 1001 }, () => ({})) }],
  ])('refuses %s', (_what, value) => {
    expect(() => parseDidDocument(value, DID)).toThrow(InvalidDidDocumentError)
  })

  it.each([
    ['#shared', '#shared'],
    ['#shared', `${DID}#shared`],
    [`${DID}#shared`, '#shared'],
    [`${DID}#shared`, `${DID}#shared`],
  ])('refuses a key %s and a service %s only when told to', (keyId, serviceId) => {
    const document = {
      id: DID,
      verificationMethod: [method(), method({ id: keyId })],
      service: [
        { id: '#atproto_pds', type: 'AtprotoPersonalDataServer', serviceEndpoint: 'https://x.com' },
        { id: serviceId, type: 'Other', serviceEndpoint: 'https://y.com' },
      ],
    }
    expect(parseDidDocument(document, DID)).toBe(document)
    expect(() => parseDidDocument(document, DID, { refuseSharedIds: true })).toThrow(
      expect.objectContaining({
        code: 'InvalidDidDocument',
        reason: 'a key and a service have the same id',
      }) as Error,
    )
  })

  it('tells ids of other DIDs, and what is no id, from shared ones', () => {
    const document = {
      id: DID,
      verificationMethod: [method(), method({ id: `${OTHER}#x` }), method({ id: undefined })],
      service: [
        { id: '#x', type: 'A', serviceEndpoint: '' },
        { id: '#x', type: 'B', serviceEndpoint: '' },
        { type: 'C', serviceEndpoint: '' },
      ],
    }
    expect(parseDidDocument(document, DID, { refuseSharedIds: true })).toBe(document)
    expect(parseDidDocument({ id: DID }, DID, { refuseSharedIds: true })).toEqual({ id: DID })
  })

  it.skipIf(!haveFixtures)('finds no live document that shares an id', () => {
    const live = Object.entries(fixtureJson('live-firehose/did-docs.json') as object)
    expect(live).toHaveLength(148)
    for (const [did, document] of live)
      expect(parseDidDocument(document, did, { refuseSharedIds: true })).toBe(document)
  })
})

describe('getSigningKey', () => {
  it('finds the key by both forms of its id', () => {
    expect(getSigningKey(withMethods(method()))?.didKey).toBe(key.didKey)
    expect(getSigningKey(withMethods(method({ id: '#atproto' })))?.didKey).toBe(key.didKey)
    expect(getVerificationKey(withMethods(method()), '#atproto')?.didKey).toBe(key.didKey)
  })

  it('takes the first entry with the id, usable or not', () => {
    const broken = method({ publicKeyMultibase: 'zzz' })
    expect(getSigningKey(withMethods(broken, method()))).toBeUndefined()
    const second = method({ publicKeyMultibase: otherKey.multibase })
    expect(getSigningKey(withMethods(method(), second))?.didKey).toBe(key.didKey)
  })

  it.each<[string, object]>([
    ['a fragment of another DID', { id: `${OTHER}#atproto` }],
    ['another fragment', { id: '#atproto2' }],
    ['no fragment sign', { id: 'atproto' }],
    ['another controller', { controller: OTHER }],
    ['no controller', { controller: undefined }],
    ['an unknown type', { type: 'JsonWebKey2020' }],
    ['a type of Object.prototype', { type: 'constructor' }],
    ['no key', { publicKeyMultibase: undefined }],
    ['a key that is no string', { publicKeyMultibase: 7 }],
    ['a did:key', { publicKeyMultibase: key.didKey }],
    ['an ed25519 key', { publicKeyMultibase: 'z6MkjwbBXZnFqL8su24wGL2Fdjti6GSLv9SWdYGswfazUPm9' }],
    ['a very long key', { publicKeyMultibase: 'z'.repeat(1_000_000) }],
  ])('ignores %s', (_what, fields) => {
    expect(getSigningKey(withMethods(method(fields)))).toBeUndefined()
  })

  it('reads the two types from before Multikey, compressed or not', () => {
    for (const [type, name, publicKey] of [
      ['EcdsaSecp256k1VerificationKey2019', 'secp256k1', key],
      ['EcdsaSecp256r1VerificationKey2019', 'prime256v1', otherKey],
    ] as const) {
      const full = ECDH.convertKey(
        publicKey.bytes,
        name,
        undefined,
        undefined,
        'uncompressed',
      ) as Buffer
      for (const bytes of [publicKey.bytes, Uint8Array.from(full)]) {
        const publicKeyMultibase = base58btc.encode(bytes)
        expect(getSigningKey(withMethods(method({ type, publicKeyMultibase })))?.didKey).toBe(
          publicKey.didKey,
        )
      }
      expect(
        getSigningKey(withMethods(method({ type, publicKeyMultibase: publicKey.multibase }))),
      ).toBeUndefined()
    }
  })

  it('finds the label key beside the signing key', () => {
    const label = method({ id: '#atproto_label', publicKeyMultibase: otherKey.multibase })
    expect(getLabelKey(withMethods(method(), label))?.didKey).toBe(otherKey.didKey)
    expect(getLabelKey(withMethods(method()))).toBeUndefined()
    expect(getSigningKey({ id: DID })).toBeUndefined()
  })
})

describe('getPdsEndpoint', () => {
  it('gives the origin', () => {
    expect(getPdsEndpoint(withService('https://pds.example.com'))).toBe('https://pds.example.com')
    expect(getPdsEndpoint(withService('https://pds.example.com/'))).toBe('https://pds.example.com')
    expect(getPdsEndpoint(withService('https://PDS.example.com:443'))).toBe(
      'https://pds.example.com',
    )
    expect(getPdsEndpoint(withService('https://pds.example.com:8443'))).toBe(
      'https://pds.example.com:8443',
    )
    expect(
      getPdsEndpoint(withService('https://pds.example.com', { id: `${DID}#atproto_pds` })),
    ).toBe('https://pds.example.com')
    expect(getPdsEndpoint(withService('http://localhost:2583'), { allowHttp: true })).toBe(
      'http://localhost:2583',
    )
  })

  it.each<[string, unknown]>([
    ['http', 'http://pds.example.com'],
    ['another scheme', 'ftp://pds.example.com'],
    ['no scheme', 'pds.example.com'],
    ['a path', 'https://pds.example.com/xrpc'],
    ['two slashes at the end', 'https://pds.example.com//'],
    ['a query', 'https://pds.example.com?x'],
    ['an empty query', 'https://pds.example.com?'],
    ['a fragment', 'https://pds.example.com#x'],
    ['a user', 'https://user@pds.example.com'],
    ['a backslash', 'https:\\\\pds.example.com'],
    ['missing slashes', 'https:pds.example.com'],
    ['a space around it', ' https://pds.example.com'],
    ['a line break in it', 'https://pds.exa\nmple.com'],
    ['a list', ['https://pds.example.com']],
    ['an object', { uri: 'https://pds.example.com' }],
    ['nothing', undefined],
    ['too much', `https://${'a'.repeat(5000)}.com`],
  ])('refuses %s', (_what, endpoint) => {
    expect(getPdsEndpoint(withService(endpoint))).toBeUndefined()
  })

  it('asks for the right type, and takes the first entry with the id', () => {
    expect(getPdsEndpoint(withService('https://a.com', { type: 'Other' }))).toBeUndefined()
    expect(getServiceEndpoint(withService('https://a.com', { type: 'Other' }), 'atproto_pds')).toBe(
      'https://a.com',
    )
    const two = {
      id: DID,
      service: [...withService('nonsense').service!, ...withService('https://b.com').service!],
    }
    expect(getPdsEndpoint(two)).toBeUndefined()
  })
})

describe('getHandle', () => {
  it('takes the first valid at:// alias, in lower case', () => {
    const handleOf = (...alsoKnownAs: string[]) => getHandle({ id: DID, alsoKnownAs })
    expect(handleOf('at://Alice.Example.com')).toBe('alice.example.com')
    expect(
      handleOf('https://a.com', 'at://nope', 'at://b.com/path', 'at://c.com', 'at://d.com'),
    ).toBe('c.com')
    expect(handleOf()).toBeUndefined()
    expect(getHandle({ id: DID })).toBeUndefined()
  })
})

describe('createServiceDidDocument', () => {
  it('makes a document that the accessors read', () => {
    const document = createServiceDidDocument({
      did: 'did:web:api.example.com',
      services: [
        { id: 'bsky_appview', type: 'BskyAppView', endpoint: 'https://api.example.com' },
        { id: 'atproto_labeler', type: 'AtprotoLabeler', endpoint: 'https://label.example.com' },
        { id: 'bsky_fg', type: 'BskyFeedGenerator', endpoint: 'https://feed.example.com' },
      ],
      keys: { atproto: key.didKey, atproto_label: otherKey.didKey },
      alsoKnownAs: ['at://api.example.com'],
    })
    expect(
      parseDidDocument(JSON.parse(JSON.stringify(document)), 'did:web:api.example.com'),
    ).toEqual(document)
    expect(getAppViewEndpoint(document)).toBe('https://api.example.com')
    expect(getLabelerEndpoint(document)).toBe('https://label.example.com')
    expect(getFeedGeneratorEndpoint(document)).toBe('https://feed.example.com')
    expect(getSigningKey(document)?.didKey).toBe(key.didKey)
    expect(getLabelKey(document)?.didKey).toBe(otherKey.didKey)
    expect(getHandle(document)).toBe('api.example.com')
    expect(document['@context']).toHaveLength(4)
  })

  it('leaves out what there is not, and refuses what nobody could read', () => {
    const did = 'did:web:localhost%3A3000'
    const service = { id: 'bsky_fg', type: 'BskyFeedGenerator', endpoint: 'http://localhost:3000' }
    expect(createServiceDidDocument({ did, services: [service] })).toEqual({
      '@context': ['https://www.w3.org/ns/did/v1'],
      id: did,
      service: [
        { id: '#bsky_fg', type: 'BskyFeedGenerator', serviceEndpoint: 'http://localhost:3000' },
      ],
    })
    expect(() => createServiceDidDocument({ did: 'example.com', services: [] })).toThrow(
      InvalidSyntaxError,
    )
    expect(() => createServiceDidDocument({ did, services: [], keys: { atproto: 'zzz' } })).toThrow(
      InvalidKeyError,
    )
    expect(() =>
      createServiceDidDocument({ did, services: [{ ...service, endpoint: 'localhost/x' }] }),
    ).toThrow(InvalidDidDocumentError)
  })
})

describe.skipIf(!haveFixtures)('live DID documents', () => {
  it('all 148 parse, with a usable key, PDS and handle', () => {
    const documents = Object.entries(
      fixtureJson('live-firehose/did-docs.json') as Record<string, unknown>,
    )
    expect(documents).toHaveLength(148)
    for (const [did, value] of documents) {
      const document = parseDidDocument(value, did)
      const signingKey = getSigningKey(document)
      expect(parsePublicKey(signingKey!.didKey).bytes).toEqual(signingKey!.bytes)
      expect(getPdsEndpoint(document)).toMatch(/^https:\/\//)
      expect(getHandle(document), did).toBeDefined()
    }
  })
})
