import { createServer, type IncomingHttpHeaders, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createResolver } from '@skywright/identity'
import { createServiceAuthVerifier } from '@skywright/xrpc'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  call,
  createPlcFetch,
  PLC_URL,
  startTestPds,
  type TestAccount,
  type TestPds,
} from './harness.ts'

const APPVIEW_DID = 'did:web:appview.example.com'

interface Seen {
  readonly method: string
  readonly url: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

/** A service that remembers what it was asked and answers as told. */
class FakeService implements AsyncDisposable {
  readonly server: Server
  seen: Seen[] = []
  answer: { status: number; headers: Record<string, string>; body: string } = {
    status: 200,
    headers: {},
    body: '{}',
  }

  constructor() {
    this.server = createServer((request, response) => {
      let body = ''
      request.setEncoding('utf8')
      request.on('data', (chunk: string) => (body += chunk))
      request.on('end', () => {
        const { method = '', url = '', headers } = request
        this.seen.push({ method, url, headers, body })
        response.writeHead(this.answer.status, this.answer.headers).end(this.answer.body)
      })
    })
  }
  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve))
    return `http://localhost:${(this.server.address() as AddressInfo).port}`
  }
  async [Symbol.asyncDispose](): Promise<void> {
    this.server.closeAllConnections()
    await new Promise((resolve) => this.server.close(resolve))
  }
}

const appView = new FakeService()
const labeler = new FakeService()
let labelerDid: string
let server: TestPds
let alice: TestAccount
const fetch = createPlcFetch()

beforeAll(async () => {
  const url = await appView.listen()
  const labelerUrl = await labeler.listen()
  labelerDid = `did:web:${encodeURIComponent(new URL(labelerUrl).host)}`
  server = await startTestPds({ appView: { url, did: APPVIEW_DID } }, { fetch })
  alice = await server.account('alice')
})
afterAll(async () => {
  await server[Symbol.asyncDispose]()
  await appView[Symbol.asyncDispose]()
  await labeler[Symbol.asyncDispose]()
})

function last(service: FakeService): Seen {
  const seen = service.seen.at(-1)
  if (seen === undefined) throw new Error('nothing was asked')
  return seen
}

const verifier = (audience: string) =>
  createServiceAuthVerifier({
    audience: [audience],
    resolver: createResolver({ plcUrl: PLC_URL, fetch, dev: true }),
  })

describe('proxying', () => {
  it('passes app.bsky methods on to the AppView, signed for it and the method by the account', async () => {
    appView.answer = {
      status: 200,
      headers: {
        'content-type': 'application/json',
        'atproto-repo-rev': '3kabc',
        'atproto-content-labelers': 'did:plc:labeler',
        'set-cookie': 'no=1',
        'x-internal': 'no',
      },
      body: '{"feed":[]}',
    }
    const answer = await call(server.url, 'app.bsky.feed.getTimeline', {
      params: { limit: '3', cursor: 'ü&' },
      token: alice.accessJwt,
      headers: {
        'accept-language': 'de',
        'atproto-accept-labelers': 'did:plc:labeler;redact',
        'x-bsky-topics': 'cats',
        cookie: 'secret=1',
        'x-forwarded-for': '1.2.3.4',
      },
    })
    expect(answer).toMatchObject({ status: 200, body: { feed: [] } })
    expect(answer.headers.get('atproto-repo-rev')).toBe('3kabc')
    expect(answer.headers.get('atproto-content-labelers')).toBe('did:plc:labeler')
    expect(answer.headers.get('set-cookie')).toBeNull()
    expect(answer.headers.get('x-internal')).toBeNull()

    const seen = last(appView)
    expect(seen.url).toBe('/xrpc/app.bsky.feed.getTimeline?limit=3&cursor=%C3%BC%26')
    expect(seen.headers).toMatchObject({
      'accept-language': 'de',
      'atproto-accept-labelers': 'did:plc:labeler;redact',
      'x-bsky-topics': 'cats',
    })
    expect(seen.headers['cookie']).toBeUndefined()
    expect(seen.headers['x-forwarded-for']).toBeUndefined()
    const token = seen.headers.authorization?.replace('Bearer ', '') ?? ''
    expect(token).not.toBe(alice.accessJwt)
    const credentials = await verifier(APPVIEW_DID).verify(token, {
      lxm: 'app.bsky.feed.getTimeline',
    })
    expect(credentials.iss).toBe(alice.did)
  })

  it('streams procedures with their bodies', async () => {
    appView.answer = { status: 200, headers: { 'content-type': 'application/json' }, body: '{}' }
    const json = { seenAt: '2026-01-01T00:00:00.000Z' }
    const answer = await call(server.url, 'app.bsky.notification.updateSeen', {
      token: alice.accessJwt,
      json,
    })
    expect(answer.status).toBe(200)
    expect(last(appView)).toMatchObject({ method: 'POST', body: JSON.stringify(json) })
    expect(last(appView).headers['content-type']).toBe('application/json')
  })

  it('hands errors of the service through', async () => {
    appView.answer = {
      status: 429,
      headers: { 'content-type': 'application/json', 'retry-after': '7' },
      body: '{"error":"RateLimitExceeded","message":"slow down"}',
    }
    const answer = await call(server.url, 'app.bsky.feed.getTimeline', { token: alice.accessJwt })
    expect(answer).toMatchObject({ status: 429, body: { error: 'RateLimitExceeded' } })
    expect(answer.headers.get('retry-after')).toBe('7')
    appView.answer = { status: 200, headers: {}, body: '{}' }
  })

  it('goes where the header says, through the DID document', async () => {
    const { port } = labeler.server.address() as AddressInfo
    labeler.answer = {
      status: 200,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        id: labelerDid,
        service: [
          {
            id: '#atproto_labeler',
            type: 'AtprotoLabeler',
            serviceEndpoint: `http://localhost:${port}`,
          },
        ],
      }),
    }
    const answer = await call(server.url, 'com.atproto.moderation.createReport', {
      token: alice.accessJwt,
      json: { reasonType: 'com.atproto.moderation.defs#reasonSpam', subject: {} },
      headers: { 'atproto-proxy': `${labelerDid}#atproto_labeler` },
    })
    expect(answer.status).toBe(200)
    const seen = last(labeler)
    expect(seen.url).toBe('/xrpc/com.atproto.moderation.createReport')
    const token = seen.headers.authorization?.replace('Bearer ', '') ?? ''
    const credentials = await verifier(labelerDid).verify(token, {
      lxm: 'com.atproto.moderation.createReport',
    })
    expect(credentials.iss).toBe(alice.did)

    const unknown = await call(server.url, 'com.atproto.moderation.createReport', {
      token: alice.accessJwt,
      json: {},
      headers: { 'atproto-proxy': `${labelerDid}#other` },
    })
    expect(unknown).toMatchObject({ status: 400, body: { error: 'InvalidRequest' } })
  })

  it('never sends its own methods away, whatever the header says', async () => {
    const agent = server.agent()
    await agent.resumeSession({
      did: alice.did,
      handle: alice.handle,
      accessJwt: alice.accessJwt,
      refreshJwt: alice.refreshJwt,
      active: true,
    })
    agent.configureProxy(`${labelerDid}#atproto_labeler` as 'did:web:labeler#atproto_labeler')
    const before = labeler.seen.length
    const { uri } = await agent.post({ text: 'stays here' })
    expect(uri).toContain(alice.did)
    const preferences = await agent.app.bsky.actor.getPreferences()
    expect(preferences.data.preferences).toEqual([])
    expect(labeler.seen).toHaveLength(before)
  })

  it.each([
    'nothing',
    'did:web:a',
    'did:web:a#',
    '#id',
    'did:web:a#b#c',
    'did:web:a #b',
    'https://a#b',
  ])('refuses the header %j', async (header) => {
    const answer = await call(server.url, 'com.example.method', {
      token: alice.accessJwt,
      headers: { 'atproto-proxy': header },
    })
    expect(answer).toMatchObject({ status: 400, body: { error: 'InvalidRequest' } })
  })

  it('refuses strangers, and methods that manage the account', async () => {
    const before = appView.seen.length
    expect(await call(server.url, 'app.bsky.feed.getTimeline')).toMatchObject({
      status: 401,
      body: { error: 'AuthMissing' },
    })
    for (const method of ['updateEmail', 'resetPassword', 'revokeAppPassword']) {
      const guarded = await call(server.url, `com.atproto.server.${method}`, {
        token: alice.accessJwt,
        json: {},
        headers: { 'atproto-proxy': `${APPVIEW_DID}#bsky_appview` },
      })
      expect(guarded.status).toBeGreaterThanOrEqual(400)
    }
    expect(appView.seen).toHaveLength(before)
  })

  it('says 502 when the service is not there', async () => {
    const dead = new FakeService()
    const url = await dead.listen()
    await dead[Symbol.asyncDispose]()
    await using other = await startTestPds({ appView: { url, did: APPVIEW_DID } })
    const bob = await other.account('bob')
    const answer = await call(other.url, 'app.bsky.feed.getTimeline', { token: bob.accessJwt })
    expect(answer).toMatchObject({ status: 502, body: { error: 'UpstreamFailure' } })
  })

  it('asks the AppView for records of repos elsewhere, unsigned', async () => {
    const body = {
      uri: 'at://did:plc:aaaaaaaaaaaaaaaaaaaaaaaa/app.bsky.feed.post/x',
      cid: 'bafy',
      value: {},
    }
    appView.answer = {
      status: 200,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    }
    const answer = await call(server.url, 'com.atproto.repo.getRecord', {
      params: {
        repo: 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa',
        collection: 'app.bsky.feed.post',
        rkey: 'x',
      },
    })
    expect(answer).toMatchObject({ status: 200, body })
    expect(last(appView).headers.authorization).toBeUndefined()
  })
})

describe('getFeed', () => {
  const feed = 'at://did:plc:aaaaaaaaaaaaaaaaaaaaaaaa/app.bsky.feed.generator/cats'

  it("asks with a token for the feed's generator", async () => {
    const generator = 'did:web:cats.example.com'
    appView.answer = {
      status: 200,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ view: { did: generator }, feed: [] }),
    }
    const answer = await call(server.url, 'app.bsky.feed.getFeed', {
      params: { feed, limit: '5' },
      token: alice.accessJwt,
    })
    expect(answer.status).toBe(200)
    const [first, second] = appView.seen.slice(-2)
    expect(first?.url).toBe(`/xrpc/app.bsky.feed.getFeedGenerator?feed=${encodeURIComponent(feed)}`)
    expect(second?.url).toContain('/xrpc/app.bsky.feed.getFeed?')
    const token = second?.headers.authorization?.replace('Bearer ', '') ?? ''
    const credentials = await verifier(generator).verify(token, {
      lxm: 'app.bsky.feed.getFeedSkeleton',
    })
    expect(credentials.iss).toBe(alice.did)
  })

  it('says so when the AppView answers nonsense, and hands its refusals through', async () => {
    const ask = (): ReturnType<typeof call> =>
      call(server.url, 'app.bsky.feed.getFeed', { params: { feed }, token: alice.accessJwt })
    for (const body of ['nonsense', '{}', 'null', '{"view":{"did":5}}']) {
      appView.answer = { status: 200, headers: { 'content-type': 'application/json' }, body }
      expect(await ask()).toMatchObject({ status: 502, body: { error: 'UpstreamFailure' } })
    }
    appView.answer = {
      status: 400,
      headers: { 'content-type': 'application/json' },
      body: '{"error":"UnknownFeed"}',
    }
    expect(await ask()).toMatchObject({ status: 400, body: { error: 'UnknownFeed' } })
  })
})

describe('getServiceAuth', () => {
  const ask = (params: Record<string, string>): ReturnType<typeof call> =>
    call(server.url, 'com.atproto.server.getServiceAuth', { params, token: alice.accessJwt })
  const seconds = (): number => Math.floor(Date.now() / 1000)

  it('signs a token the service can verify', async () => {
    const lxm = 'com.atproto.repo.uploadBlob'
    const { data } = await alice.agent.com.atproto.server.getServiceAuth({
      aud: 'did:web:video.example.com',
      lxm,
      exp: seconds() + 1_800,
    })
    const credentials = await verifier('did:web:video.example.com').verify(data.token, { lxm })
    expect(credentials.iss).toBe(alice.did)
    expect(credentials.exp).toBeGreaterThan(seconds() + 1_700)
  })

  it.each([
    ['an expiry in the past', { exp: () => String(seconds() - 10) }, 400, 'BadExpiration'],
    ['an expiry beyond an hour', { exp: () => String(seconds() + 3_700) }, 400, 'BadExpiration'],
    ['a protected method', { lxm: () => 'com.atproto.server.updateEmail' }, 403, 'Forbidden'],
    ['a method that is none', { lxm: () => 'nope' }, 400, 'InvalidRequest'],
    ['an audience that is no DID', { aud: () => 'video' }, 400, 'InvalidRequest'],
  ])('refuses %s', async (_name, change, status, error) => {
    const changed = Object.fromEntries(Object.entries(change).map(([key, value]) => [key, value()]))
    const answer = await ask({
      aud: 'did:web:video.example.com',
      lxm: 'com.atproto.repo.uploadBlob',
      ...changed,
    })
    expect(answer).toMatchObject({ status, body: { error } })
  })
})

describe('requestCrawl', () => {
  it('asks its relays when it starts, and starts without them', async () => {
    const relay = new FakeService()
    const url = await relay.listen()
    const asked = Promise.withResolvers<void>()
    relay.server.on('request', () => asked.resolve())
    await using other = await startTestPds({ relays: [url, 'http://localhost:1'] })
    await asked.promise
    await new Promise(setImmediate)
    expect(other.url).toMatch(/^http/)
    await relay[Symbol.asyncDispose]()
    expect(last(relay)).toMatchObject({
      method: 'POST',
      url: '/xrpc/com.atproto.sync.requestCrawl',
      body: JSON.stringify({ hostname: new URL(other.url).host }),
    })
  })
})
