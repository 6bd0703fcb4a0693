import { describe, expect, it } from 'vitest'
import {
  DidDeactivatedError,
  DidNotFoundError,
  HandleAmbiguousError,
  HandleMismatchError,
  HandleNotFoundError,
  InvalidDidDocumentError,
  InvalidSyntaxError,
  ResolutionFailedError,
  UnsupportedDidMethodError,
  createResolver,
} from '../src/index.ts'
import type { DidDocument, ResolverEvent, ResolverOptions } from '../src/index.ts'
import { generatePrivateKey } from '../src/keys/index.ts'

const DID = 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa'
const OTHER = 'did:plc:bbbbbbbbbbbbbbbbbbbbbbbb'
const key = generatePrivateKey('k256')

function documentOf(did: string, handle?: string): DidDocument {
  return {
    id: did,
    alsoKnownAs: handle === undefined ? [] : [`at://${handle}`],
    verificationMethod: [
      {
        id: `${did}#atproto`,
        type: 'Multikey',
        controller: did,
        publicKeyMultibase: key.publicKey.multibase,
      },
    ],
    service: [
      {
        id: '#atproto_pds',
        type: 'AtprotoPersonalDataServer',
        serviceEndpoint: 'https://pds.example.com',
      },
    ],
  }
}

type Page = Response | Error | (() => Promise<Response>)

/** A web, a DNS and a clock that do what they are told. */
function setUp(options: ResolverOptions = {}) {
  const pages = new Map<string, Page>()
  const txt = new Map<string, readonly (readonly string[])[] | Error>()
  const requests: string[] = []
  const events: ResolverEvent[] = []
  const clock = { ms: 1_000_000_000_000 }
  const fetch: typeof globalThis.fetch = async (input) => {
    const { url } = new Request(input)
    requests.push(url)
    const page = pages.get(url)
    if (page === undefined) return new Response('not found', { status: 404 })
    if (page instanceof Error) throw page
    return typeof page === 'function' ? page() : page.clone()
  }
  const resolveTxt = async (name: string) => {
    requests.push(`dns:${name}`)
    await Promise.resolve()
    const records = txt.get(name)
    if (records instanceof Error) throw records
    if (records === undefined) throw Object.assign(new Error('none'), { code: 'ENOTFOUND' })
    return records
  }
  const resolver = createResolver({
    plcUrl: 'https://plc.example.com',
    fetch,
    resolveTxt,
    now: () => clock.ms,
    onEvent: (event) => events.push(event),
    ...options,
  })
  const serve = (document: DidDocument) =>
    pages.set(`https://plc.example.com/${document.id}`, Response.json(document))
  const wellKnown = (handle: string, page: Page) =>
    pages.set(`https://${handle}/.well-known/atproto-did`, page)
  return { resolver, pages, txt, requests, events, clock, serve, wellKnown }
}

const timeout = () => Object.assign(new Error('timed out'), { code: 'ETIMEOUT' })

describe('resolveDid', () => {
  it('gives document, key and PDS, and says where they come from and how old they are', async () => {
    const { resolver, clock, requests, serve } = setUp()
    serve(documentOf(DID))
    const first = await resolver.resolveDid(DID)
    expect(first).toMatchObject({ did: DID, source: 'network', ageMs: 0 })
    expect(first.signingKey?.didKey).toBe(key.didKey)
    expect(first.pds).toBe('https://pds.example.com')
    clock.ms += 5000
    const second = await resolver.resolveDid(DID)
    expect(second).toMatchObject({ did: DID, source: 'cache', ageMs: 5000 })
    expect(second.signingKey).toBe(first.signingKey)
    expect(requests).toHaveLength(1)
  })

  it('prints whole as JSON', async () => {
    const { resolver, serve } = setUp()
    const document = documentOf(DID)
    serve(document)
    const printed: unknown = JSON.parse(JSON.stringify(await resolver.resolveDid(DID)))
    expect(printed).toEqual({
      did: DID,
      document,
      pds: 'https://pds.example.com',
      signingKey: { didKey: key.didKey },
      source: 'network',
      ageMs: 0,
    })
  })

  it('joins concurrent lookups into one request', async () => {
    const { resolver, requests, serve } = setUp()
    serve(documentOf(DID))
    const all = await Promise.all(Array.from({ length: 50 }, () => resolver.resolveDid(DID)))
    expect(new Set(all.map(({ document }) => document)).size).toBe(1)
    expect(requests).toHaveLength(1)
  })

  it('gives a stale document at once while it fetches a new one', async () => {
    const { resolver, clock, serve } = setUp()
    serve(documentOf(DID, 'old.example.com'))
    await resolver.resolveDid(DID)
    serve(documentOf(DID, 'new.example.org'))
    clock.ms += 2 * 3_600_000
    expect(await resolver.resolveDid(DID)).toMatchObject({ source: 'stale', ageMs: 7_200_000 })
    await settled()
    const fresh = await resolver.resolveDid(DID)
    expect(fresh.source).toBe('cache')
    expect(fresh.document.alsoKnownAs).toEqual(['at://new.example.org'])
  })

  it('keeps a good document through an outage, until it is a day old', async () => {
    const { resolver, clock, pages, serve } = setUp()
    serve(documentOf(DID))
    await resolver.resolveDid(DID)
    pages.set(`https://plc.example.com/${DID}`, new Error('network down'))
    clock.ms += 23 * 3_600_000
    expect((await resolver.resolveDid(DID)).source).toBe('stale')
    await settled()
    expect((await resolver.resolveDid(DID, { refresh: true })).source).toBe('stale')
    clock.ms += 2 * 3_600_000
    await expect(resolver.resolveDid(DID)).rejects.toMatchObject({
      code: 'ResolutionFailed',
      family: 'CouldNotAsk',
      step: 'plc',
      retryable: true,
    })
  })

  it.each([
    ['a page of something between', () => new Response('<html>maintenance</html>')],
    ['half an answer', () => new Response('{"id":"did:plc:')],
    ['a refusal', () => new Response('blocked', { status: 403 })],
    ['a redirect', () => new Response(null, { status: 302, headers: { location: '/' } })],
    ['no end', () => new Response(new Uint8Array(70_000))],
  ])('keeps a good document while the directory gives %s', async (_, page) => {
    const { resolver, clock, pages, serve } = setUp()
    serve(documentOf(DID))
    await resolver.resolveDid(DID)
    pages.set(`https://plc.example.com/${DID}`, page())
    clock.ms += 2 * 3_600_000
    expect((await resolver.resolveDid(DID)).source).toBe('stale')
    await settled()
    clock.ms += 60_000
    expect((await resolver.resolveDid(DID)).source).toBe('stale')
    await settled()
    serve(documentOf(DID, 'alice.example.com'))
    clock.ms += 10_000
    await resolver.resolveDid(DID)
    await settled()
    expect(await resolver.resolveDid(DID)).toMatchObject({
      source: 'cache',
      document: { alsoKnownAs: ['at://alice.example.com'] },
    })
    pages.set(`https://plc.example.com/${OTHER}`, page())
    await expect(resolver.resolveDid(OTHER)).rejects.toMatchObject({
      code: 'ResolutionFailed',
      family: 'CouldNotAsk',
      step: 'plc',
    })
  })

  it('says that asking again helps when one of the directories could not be asked', async () => {
    const plcUrl = ['https://one.example.com', 'https://two.example.com']
    for (const down of plcUrl) {
      const { resolver, pages } = setUp({ plcUrl })
      for (const url of plcUrl) pages.set(`${url}/${DID}`, new Response('<html>'))
      pages.set(`${down}/${DID}`, new Error('down'))
      await expect(resolver.resolveDid(DID)).rejects.toMatchObject({ retryable: true })
    }
  })

  it('calls what is no text malformed, as fields of foreign JSON may be', async () => {
    const { resolver, requests } = setUp()
    for (const value of [undefined, null, 7, true, {}, [], ['did:plc:aaaaaaaaaaaaaaaaaaaaaaaa']]) {
      const text = value as unknown as string
      await expect(resolver.resolveDid(text)).rejects.toThrow(InvalidSyntaxError)
      await expect(resolver.resolveHandle(text)).rejects.toThrow(InvalidSyntaxError)
      await expect(resolver.resolveIdentity(text)).rejects.toThrow(InvalidSyntaxError)
    }
    expect(requests).toEqual([])
  })

  it('remembers "not found" for a minute and a failure to ask for ten seconds', async () => {
    const { resolver, clock, pages, requests, serve } = setUp()
    await expect(resolver.resolveDid(DID)).rejects.toThrow(DidNotFoundError)
    await expect(resolver.resolveDid(DID)).rejects.toThrow(DidNotFoundError)
    expect(requests).toHaveLength(1)
    clock.ms += 60_000
    serve(documentOf(DID))
    await resolver.resolveDid(DID)
    pages.set(`https://plc.example.com/${OTHER}`, new Response('', { status: 503 }))
    await expect(resolver.resolveDid(OTHER)).rejects.toThrow(ResolutionFailedError)
    serve(documentOf(OTHER))
    await expect(resolver.resolveDid(OTHER)).rejects.toThrow(ResolutionFailedError)
    clock.ms += 10_000
    await resolver.resolveDid(OTHER)
  })

  it('limits forced refreshes per DID', async () => {
    const { resolver, clock, requests, serve } = setUp()
    serve(documentOf(DID))
    await resolver.resolveDid(DID)
    for (let index = 0; index < 100; index++) await resolver.resolveDid(DID, { refresh: true })
    expect(requests).toHaveLength(1)
    clock.ms += 60_000
    for (let index = 0; index < 100; index++) await resolver.resolveDid(DID, { refresh: true })
    expect(requests).toHaveLength(2)
  })

  it('forgets on purge, and does not remember a fetch that was under way', async () => {
    const { resolver, pages, requests, serve } = setUp()
    let answer: (response: Response) => void = () => undefined
    pages.set(`https://plc.example.com/${DID}`, () => new Promise((resolve) => (answer = resolve)))
    const old = resolver.resolveDid(DID)
    await settled()
    resolver.purge(DID)
    serve(documentOf(DID, 'new.example.org'))
    expect((await resolver.resolveDid(DID)).document.alsoKnownAs).toEqual(['at://new.example.org'])
    answer(Response.json(documentOf(DID, 'old.example.com')))
    expect((await old).document.alsoKnownAs).toEqual(['at://old.example.com'])
    const after = await resolver.resolveDid(DID)
    expect(after).toMatchObject({ source: 'cache' })
    expect(after.document.alsoKnownAs).toEqual(['at://new.example.org'])
    expect(requests).toHaveLength(2)
  })

  it('lets one caller give up while another waits, and stops asking when all have', async () => {
    const { resolver, pages } = setUp()
    let answer: (response: Response) => void = () => undefined
    pages.set(`https://plc.example.com/${DID}`, () => new Promise((resolve) => (answer = resolve)))
    const impatient = new AbortController()
    const first = resolver.resolveDid(DID, { signal: impatient.signal })
    const second = resolver.resolveDid(DID)
    impatient.abort(new Error('enough'))
    await expect(first).rejects.toThrow('enough')
    answer(Response.json(documentOf(DID)))
    expect((await second).did).toBe(DID)
    await expect(
      resolver.resolveDid(DID, { signal: AbortSignal.abort(new Error('before')) }),
    ).resolves.toBeDefined()
    await expect(
      resolver.resolveDid(OTHER, { signal: AbortSignal.abort(new Error('before')) }),
    ).rejects.toThrow('before')
  })

  it('tells the kinds of failure apart', async () => {
    const { resolver, pages } = setUp()
    const at = (did: string, response: Response) =>
      pages.set(`https://plc.example.com/${did}`, response)
    const did = (letter: string) => `did:plc:${letter.repeat(24)}`
    at(did('c'), new Response('', { status: 410 }))
    at(did('d'), Response.json(documentOf(OTHER)))
    at(did('e'), new Response('<html>'))
    at(did('f'), Response.json({ id: did('f'), verificationMethod: 'none' }))
    at(did('g'), new Response('', { status: 400 }))
    at(did('h'), new Response('x'.repeat(100_000)))
    at(
      did('i'),
      new Response('', { status: 302, headers: { location: 'https://evil.example.com' } }),
    )
    await expect(resolver.resolveDid(did('c'))).rejects.toThrow(DidDeactivatedError)
    await expect(resolver.resolveDid(did('d'))).rejects.toThrow(InvalidDidDocumentError)
    await expect(resolver.resolveDid(did('e'))).rejects.toMatchObject({
      family: 'CouldNotAsk',
      retryable: false,
      step: 'plc',
    })
    await expect(resolver.resolveDid(did('f'))).rejects.toThrow(InvalidDidDocumentError)
    await expect(resolver.resolveDid(did('g'))).rejects.toMatchObject({ retryable: false })
    await expect(resolver.resolveDid(did('h'))).rejects.toMatchObject({
      code: 'ResolutionFailed',
      family: 'CouldNotAsk',
      step: 'plc',
      cause: { code: 'ResponseTooLarge' },
    })
    await expect(resolver.resolveDid(did('i'))).rejects.toMatchObject({ code: 'ResolutionFailed' })
    await expect(resolver.resolveDid('did:plc:short')).rejects.toThrow(InvalidSyntaxError)
    await expect(resolver.resolveDid('alice')).rejects.toThrow(InvalidSyntaxError)
    await expect(resolver.resolveDid('did:key:zQ3shabc')).rejects.toThrow(UnsupportedDidMethodError)
  })

  it('goes to the next directory when one cannot be asked, not when it says no', async () => {
    const plcUrl = ['https://one.example.com', 'https://two.example.com']
    const { resolver, pages, requests } = setUp({ plcUrl })
    pages.set(`${plcUrl[0]}/${DID}`, new Error('down'))
    pages.set(`${plcUrl[1]}/${DID}`, Response.json(documentOf(DID)))
    expect((await resolver.resolveDid(DID)).did).toBe(DID)
    await expect(resolver.resolveDid(OTHER)).rejects.toThrow(DidNotFoundError)
    expect(requests.filter((url) => url.includes(OTHER))).toHaveLength(1)
  })

  it('does not believe a mirror that says no while the first directory could not be asked', async () => {
    const plcUrl = ['https://one.example.com', 'https://two.example.com']
    const { resolver, pages } = setUp({ plcUrl })
    pages.set(`${plcUrl[0]}/${DID}`, new Error('down'))
    await expect(resolver.resolveDid(DID)).rejects.toMatchObject({
      family: 'CouldNotAsk',
      retryable: true,
    })
  })

  it('verifies with the backend it was given', async () => {
    const asked: string[] = []
    const verifyBackend = {
      name: 'mine',
      prepare: (curve: string) => {
        asked.push(curve)
        return () => true
      },
    }
    const { resolver, serve } = setUp({ verifyBackend })
    serve(documentOf(DID))
    const { signingKey } = await resolver.resolveDid(DID)
    expect(signingKey?.verify(new Uint8Array(1), key.sign(new Uint8Array(2)))).toBe(true)
    expect(asked).toEqual(['k256'])
  })

  it('reports what it does', async () => {
    const { resolver, events, serve } = setUp()
    serve(documentOf(DID))
    await resolver.resolveDid(DID)
    await resolver.resolveDid(DID)
    await resolver.resolveDid(OTHER).catch(() => undefined)
    await resolver.resolveDid(OTHER).catch(() => undefined)
    expect(events.map(({ kind, outcome }) => `${kind} ${outcome}`)).toEqual([
      'did fetched',
      'did hit',
      'did failed',
      'did negative-hit',
    ])
  })

  it('resolves did:web without following redirects', async () => {
    const { resolver, pages } = setUp()
    const did = 'did:web:pds.example.com'
    const url = (host: string) => `https://${host}/.well-known/did.json`
    pages.set(url('a.example.org'), Response.json({ id: 'did:web:a.example.org' }))
    pages.set(
      url('b.example.org'),
      new Response('', { status: 301, headers: { location: url('a.example.org') } }),
    )
    pages.set(url('c.example.org'), Response.json({ id: 'did:web:a.example.org' }))
    pages.set(url('d.example.org'), new Response('', { status: 500 }))
    expect((await resolver.resolveDid('did:web:a.example.org')).did).toBe('did:web:a.example.org')
    await expect(resolver.resolveDid('did:web:b.example.org')).rejects.toThrow('redirected')
    await expect(resolver.resolveDid('did:web:c.example.org')).rejects.toThrow(
      InvalidDidDocumentError,
    )
    await expect(resolver.resolveDid('did:web:d.example.org')).rejects.toMatchObject({
      retryable: true,
    })
    await expect(resolver.resolveDid(did)).rejects.toThrow(DidNotFoundError)
    for (const bad of [
      'did:web:localhost',
      'did:web:localhost%3A3000',
      'did:web:example.org%3A8443',
      'did:web:example.org:user:alice',
      'did:web:127.0.0.1',
      'did:web:thing.internal',
      'did:web:host',
      'did:web:a.test',
      'did:web:Example.org.',
      'did:web:ex%61mple.org',
      'did:web:example.org%2Fuser',
      'did:web:user%40example.org',
      'did:web:example.org%3A',
      'did:web:0x7f.1',
      'did:web:2130706433',
      `did:web:${'a.'.repeat(126)}org`,
    ]) {
      await expect(resolver.resolveDid(bad), bad).rejects.toThrow(InvalidSyntaxError)
    }
  })

  it('in development resolves did:web on localhost with a port, over http', async () => {
    const { resolver, pages } = setUp({ dev: true })
    pages.set(
      'http://localhost:2583/.well-known/did.json',
      Response.json({ id: 'did:web:localhost%3A2583' }),
    )
    expect((await resolver.resolveDid('did:web:localhost%3A2583')).did).toBe(
      'did:web:localhost%3A2583',
    )
    for (const did of ['did:web:localhost%3A65536', 'did:web:a.test%3A99999']) {
      await expect(resolver.resolveDid(did), did).rejects.toThrow(InvalidSyntaxError)
    }
  })
})

describe('resolveHandle', () => {
  const handle = 'alice.example.com'.replace('example.com', 'bsky.social')
  const name = `_atproto.${handle}`

  it('takes DNS before HTTPS when they disagree, and HTTPS when DNS has nothing', async () => {
    const both = setUp()
    both.txt.set(name, [['v=spf1'], [`did=${DID.slice(0, 10)}`, DID.slice(10)]])
    both.wellKnown(handle, new Response(OTHER))
    expect(await both.resolver.resolveHandle(handle.toUpperCase())).toMatchObject({
      handle,
      did: DID,
      method: 'dns',
    })
    const https = setUp()
    https.wellKnown(handle, new Response(`  ${OTHER}\r\n`))
    expect(await https.resolver.resolveHandle(handle)).toMatchObject({
      did: OTHER,
      method: 'https',
    })
    const down = setUp()
    down.txt.set(name, timeout())
    down.wellKnown(handle, new Response(OTHER))
    expect(await down.resolver.resolveHandle(handle)).toMatchObject({ did: OTHER, method: 'https' })
  })

  it('calls two DIDs in DNS a failure, even when HTTPS has one', async () => {
    const { resolver, txt, wellKnown } = setUp()
    txt.set(name, [[`did=${DID}`], [`did=${OTHER}`]])
    wellKnown(handle, new Response(DID))
    await expect(resolver.resolveHandle(handle)).rejects.toThrow(HandleAmbiguousError)
    const same = setUp()
    same.txt.set(name, [[`did=${DID}`], [`did=${DID}`]])
    expect((await same.resolver.resolveHandle(handle)).did).toBe(DID)
  })

  it('says not found only when both say so', async () => {
    const none = setUp()
    await expect(none.resolver.resolveHandle(handle)).rejects.toThrow(HandleNotFoundError)
    const dnsDown = setUp()
    dnsDown.txt.set(name, timeout())
    await expect(dnsDown.resolver.resolveHandle(handle)).rejects.toMatchObject({
      step: 'dns',
      retryable: true,
    })
    const webDown = setUp()
    webDown.wellKnown(handle, new Error('refused'))
    await expect(webDown.resolver.resolveHandle(handle)).rejects.toMatchObject({
      step: 'https',
      retryable: true,
    })
    const webBroken = setUp()
    webBroken.wellKnown(handle, new Response('<!doctype html>'))
    await expect(webBroken.resolver.resolveHandle(handle)).rejects.toMatchObject({
      step: 'https',
      family: 'Invalid',
      retryable: false,
    })
    const tooLong = setUp()
    tooLong.wellKnown(handle, new Response(`${DID}${' '.repeat(5000)}`))
    await expect(tooLong.resolver.resolveHandle(handle)).rejects.toMatchObject({
      family: 'Invalid',
    })
  })

  it('does not ask DNS about handles that do not fit', async () => {
    const long = `${'a.'.repeat(119)}bsky.social`
    expect(long.length).toBeGreaterThan(244)
    const { resolver, requests, wellKnown } = setUp()
    wellKnown(long, new Response(DID))
    expect((await resolver.resolveHandle(long)).method).toBe('https')
    expect(requests.some((request) => request.startsWith('dns:'))).toBe(false)
  })

  it('keeps a good handle through an outage', async () => {
    const { resolver, txt, clock } = setUp()
    txt.set(name, [[`did=${DID}`]])
    await resolver.resolveHandle(handle)
    txt.set(name, timeout())
    clock.ms += 3_600_000
    expect(await resolver.resolveHandle(handle)).toMatchObject({ did: DID, source: 'stale' })
    await settled()
    clock.ms += 60_000
    expect(await resolver.resolveHandle(handle)).toMatchObject({ did: DID, source: 'stale' })
  })

  it('refuses reserved names and placeholders without asking anybody', async () => {
    const { resolver, requests } = setUp()
    const refused = [
      'handle.invalid',
      'a.local',
      'a.localhost',
      'a.onion',
      'a.test',
      'a.example',
      'x',
      'a.1b',
      '@a.com',
      'alice.com.',
      '.alice.com',
      'xn--.com',
      'älice.com',
      `${'a.'.repeat(125)}comm`,
    ]
    for (const bad of refused) {
      await expect(resolver.resolveHandle(bad), bad).rejects.toThrow(InvalidSyntaxError)
    }
    expect(requests).toEqual([])
    const dev = setUp({ dev: true })
    dev.txt.set('_atproto.a.test', [[`did=${DID}`]])
    expect((await dev.resolver.resolveHandle('a.test')).did).toBe(DID)
  })

  it('asks DNS over HTTPS where there is no DNS', async () => {
    const pages = new Map<string, object>()
    const resolver = createResolver({
      dohUrl: 'https://dns.example.com/query',
      fetch: async (input) => {
        await Promise.resolve()
        const page = pages.get(new Request(input).url)
        return page === undefined ? new Response('', { status: 404 }) : Response.json(page)
      },
    })
    pages.set(`https://dns.example.com/query?name=_atproto.${handle}&type=TXT`, {
      Status: 0,
      Answer: [
        { type: 5, data: 'elsewhere.' },
        { type: 16, data: `"did=${DID.slice(0, 9)}" "${DID.slice(9)}"` },
      ],
    })
    expect(await resolver.resolveHandle(handle)).toMatchObject({ did: DID, method: 'doh' })
    pages.set('https://dns.example.com/query?name=_atproto.none.bsky.social&type=TXT', {
      Status: 3,
    })
    await expect(resolver.resolveHandle('none.bsky.social')).rejects.toThrow(HandleNotFoundError)
    pages.set('https://dns.example.com/query?name=_atproto.broken.bsky.social&type=TXT', {
      Status: 2,
    })
    await expect(resolver.resolveHandle('broken.bsky.social')).rejects.toMatchObject({
      step: 'doh',
      retryable: true,
    })
    pages.set('https://dns.example.com/query?name=_atproto.two.bsky.social&type=TXT', {
      Status: 0,
      Answer: [DID, OTHER].map((did) => ({ type: 16, data: `"did=${did}"` })),
    })
    await expect(resolver.resolveHandle('two.bsky.social')).rejects.toMatchObject({
      code: 'HandleAmbiguous',
      step: 'doh',
    })
  })
})

describe('resolveIdentity', () => {
  const handle = 'alice.bsky.social'

  it('checks both directions, from either end', async () => {
    const { resolver, serve, txt } = setUp()
    serve(documentOf(DID, 'Alice.bsky.social'))
    txt.set(`_atproto.${handle}`, [[`did=${DID}`]])
    for (const start of [DID, handle, 'ALICE.bsky.social']) {
      const identity = await resolver.resolveIdentity(start)
      expect(identity).toMatchObject({ did: DID, handle, pds: 'https://pds.example.com' })
      expect(identity.signingKey?.didKey).toBe(key.didKey)
      expect(identity.handleError).toBeUndefined()
    }
  })

  it('reports handle.invalid and the reason when the handle does not lead back', async () => {
    const { resolver, serve, txt } = setUp()
    serve(documentOf(DID, handle))
    txt.set(`_atproto.${handle}`, [[`did=${OTHER}`]])
    const identity = await resolver.resolveIdentity(DID)
    expect(identity.handle).toBe('handle.invalid')
    expect(identity.handleError).toBeInstanceOf(HandleMismatchError)
    expect(identity.pds).toBe('https://pds.example.com')
    serve(documentOf(OTHER))
    expect((await resolver.resolveIdentity(OTHER)).handle).toBe('handle.invalid')
    await expect(resolver.resolveIdentity(handle)).rejects.toThrow(HandleMismatchError)
  })

  it('clears an invalid handle when the document changed after it was asked for', async () => {
    const { resolver, serve, txt, clock } = setUp()
    serve(documentOf(DID, handle))
    expect((await resolver.resolveIdentity(DID)).handle).toBe('handle.invalid')
    txt.set(`_atproto.${handle}`, [[`did=${DID}`]])
    clock.ms += 1000
    expect((await resolver.resolveIdentity(DID)).handle).toBe('handle.invalid')
    resolver.purge(DID)
    expect((await resolver.resolveIdentity(DID)).handle).toBe(handle)
  })

  it('refreshes the handle with the document when told to', async () => {
    const { resolver, serve, txt, clock } = setUp()
    serve(documentOf(DID, handle))
    txt.set(`_atproto.${handle}`, [[`did=${DID}`]])
    expect((await resolver.resolveIdentity(DID)).handle).toBe(handle)
    txt.delete(`_atproto.${handle}`)
    clock.ms += 120_000
    expect((await resolver.resolveIdentity(DID)).handle).toBe(handle)
    expect((await resolver.resolveIdentity(DID, { refresh: true })).handle).toBe('handle.invalid')
  })

  it('asks again for a document older than the handle that leads to it', async () => {
    const { resolver, serve, txt, clock } = setUp()
    serve(documentOf(DID, 'old.bsky.social'))
    await resolver.resolveDid(DID)
    clock.ms += 120_000
    serve(documentOf(DID, handle))
    txt.set(`_atproto.${handle}`, [[`did=${DID}`]])
    expect((await resolver.resolveIdentity(handle)).handle).toBe(handle)
  })

  it('asks again for a handle that leads to the account it belonged to before', async () => {
    const { resolver, serve, txt, clock } = setUp()
    serve(documentOf(DID, handle))
    txt.set(`_atproto.${handle}`, [[`did=${DID}`]])
    expect((await resolver.resolveIdentity(handle)).did).toBe(DID)
    serve(documentOf(DID, 'gone.bsky.social'))
    serve(documentOf(OTHER, handle))
    txt.set(`_atproto.${handle}`, [[`did=${OTHER}`]])
    clock.ms += 120_000
    await resolver.resolveDid(DID, { refresh: true })
    expect(await resolver.resolveIdentity(handle)).toMatchObject({ did: OTHER, handle })
  })

  it('does not remember a handle that was being asked for when its account was purged', async () => {
    const { resolver, requests, wellKnown } = setUp()
    const answer = Promise.withResolvers<Response>()
    wellKnown(handle, () => answer.promise)
    const first = resolver.resolveHandle(handle)
    await settled()
    resolver.purge(DID)
    answer.resolve(new Response(DID))
    expect((await first).did).toBe(DID)
    wellKnown(handle, new Response(OTHER))
    expect((await resolver.resolveHandle(handle)).did).toBe(OTHER)
    expect(requests.filter((url) => url.startsWith('https:'))).toHaveLength(2)
  })

  it('uses only the first valid alias', async () => {
    const { resolver, pages, txt } = setUp()
    const document = {
      ...documentOf(DID),
      alsoKnownAs: ['https://x.org', 'at://not valid', 'at://first.bsky.social', `at://${handle}`],
    }
    pages.set(`https://plc.example.com/${DID}`, Response.json(document))
    txt.set(`_atproto.${handle}`, [[`did=${DID}`]])
    expect((await resolver.resolveIdentity(DID)).handle).toBe('handle.invalid')
  })
})

describe('hosts that do not answer', () => {
  const never = () => new Promise<never>(() => undefined)

  it('do not keep others from DNS, nor anybody from the directory', async () => {
    const { txt, serve, resolver } = setUp({
      resolveTxt: async (name) =>
        name.endsWith('.evil.com') ? never() : ((txt.get(name) as [[string]] | undefined) ?? []),
      publicFetch: never,
    })
    serve(documentOf(DID, 'alice.bsky.social'))
    txt.set('_atproto.alice.bsky.social', [[`did=${DID}`]])
    const abort = new AbortController()
    const { signal } = abort
    const stuck = Array.from({ length: 1000 }, (_, n) =>
      resolver.resolveHandle(`a${n}.evil.com`, { signal }).catch(() => undefined),
    )
    const identity = await resolver.resolveIdentity(DID)
    expect(identity.handle).toBe('alice.bsky.social')
    abort.abort()
    await Promise.all(stuck)
  })

  it('of many names keep nobody from the directory', async () => {
    const { serve, resolver } = setUp({ resolveTxt: never, publicFetch: never })
    serve(documentOf(DID))
    const abort = new AbortController()
    const { signal } = abort
    const stuck = Array.from({ length: 1000 }, (_, n) =>
      resolver.resolveDid(`did:web:evil${n}.com`, { signal }).catch(() => undefined),
    )
    expect((await resolver.resolveDid(DID)).did).toBe(DID)
    abort.abort()
    await Promise.all(stuck)
  })
})

/** Lets everything that is ready to run, run. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve))
}
