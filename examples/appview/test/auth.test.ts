import { generatePrivateKey } from '@skywright/identity/keys'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Account, World } from './world.ts'

let world: World
let viewer: Account
beforeAll(async () => {
  world = await World.start({ audiences: ['did:web:api.other.example'] })
  viewer = await world.account('viewer')
})
afterAll(() => world[Symbol.asyncDispose]())

const TIMELINE = 'app.bsky.feed.getTimeline'
const PROFILE = 'app.bsky.actor.getProfile'

async function statusOf(token: string): Promise<readonly [number, string | undefined]> {
  const { status, error } = await world.fetch(TIMELINE, {}, token)
  return [status, error]
}

function forge(token: string, header: object, claims: object): string {
  const [h, c, s] = token.split('.')
  const change = (part: string | undefined, changes: object): string => {
    const value = JSON.parse(Buffer.from(part ?? '', 'base64url').toString()) as object
    return Buffer.from(JSON.stringify({ ...value, ...changes })).toString('base64url')
  }
  return [change(h, header), change(c, claims), s].join('.')
}

describe('service auth', () => {
  it('accepts the service DID with and without its fragment, and configured audiences', async () => {
    const { did } = world.appView
    for (const aud of [`${did}#bsky_appview`, did, 'did:web:api.other.example'])
      expect((await statusOf(await world.token(viewer, TIMELINE, { aud })))[0]).toBe(200)
  })

  it('refuses every forgery with 401', async () => {
    const { did } = world.appView
    const good = await world.token(viewer, TIMELINE)
    const other = await world.account('other')
    const past = (): number => Date.now() - 3_600_000
    const stranger = world.stranger('stranger')
    world.resolver.delete(stranger.did)
    const p256 = generatePrivateKey('p256')
    const forgeries: Record<string, string> = {
      'another audience': await world.token(viewer, TIMELINE, { aud: 'did:web:elsewhere.example' }),
      'another service of ours': await world.token(viewer, TIMELINE, { aud: `${did}#bsky_notif` }),
      'an audience that only starts like ours': await world.token(viewer, TIMELINE, {
        aud: `${did}x`,
      }),
      'another method': await world.token(viewer, PROFILE),
      expired: await world.token(viewer, TIMELINE, { now: past }),
      'signed by another account': await world.token(viewer, TIMELINE, { key: other.key }),
      'signed on another curve': await world.token(viewer, TIMELINE, { key: p256 }),
      'of an account that does not exist': await world.token(stranger, TIMELINE),
      'with another issuer written in': forge(good, {}, { iss: other.did }),
      'with a later expiry written in': forge(good, {}, { exp: 4_000_000_000 }),
      'without an algorithm': forge(good, { alg: 'none' }, {}),
      'with another algorithm': forge(good, { alg: 'HS256' }, {}),
      'an access token': forge(good, { typ: 'at+jwt' }, {}),
      'without a signature': good.split('.').slice(0, 2).join('.'),
      'with an empty signature': `${good.split('.').slice(0, 2).join('.')}.`,
      garbage: 'garbage',
      'three parts of garbage': 'a.b.c',
    }
    for (const [name, token] of Object.entries(forgeries)) {
      const [status] = await statusOf(token)
      expect([name, status]).toEqual([name, 401])
    }
    expect(Object.keys(forgeries)).toHaveLength(17)
  })

  it('refuses a token a second time', async () => {
    const token = await world.token(viewer, TIMELINE)
    expect((await statusOf(token))[0]).toBe(200)
    expect((await statusOf(token))[0]).toBe(401)
  })

  it('does not take a bad token for nobody where nobody may ask', async () => {
    const token = await world.token(viewer, TIMELINE)
    const { status } = await world.fetch(PROFILE, { actor: viewer.did }, token)
    expect(status).toBe(401)
  })

  it('accepts the new key of an account whose key changed', async () => {
    const mover = await world.account('mover')
    expect((await world.get(PROFILE, { actor: mover.did }, mover)).status).toBe(200)
    const key = generatePrivateKey('k256')
    world.resolver.setAccount({
      did: mover.did,
      handle: mover.handle,
      signingKey: key.publicKey,
      pds: 'http://localhost:1',
    })
    const token = await world.token(mover, PROFILE, { key })
    expect((await world.fetch(PROFILE, { actor: mover.did }, token)).status).toBe(200)
  })
})

describe('a closed AppView', () => {
  it('answers nobody without a token', async () => {
    await using closed = await World.start({ publicReads: false })
    const alice = await closed.account('alice')
    const params = { actor: alice.did }
    expect((await closed.get(PROFILE, params)).status).toBe(401)
    expect((await closed.get(PROFILE, params, alice)).status).toBe(200)
  })
})

describe('the service itself', () => {
  const at = (path: string): string => new URL(path, world.appView.url).href

  it('publishes its DID document', async () => {
    const response = await fetch(at('/.well-known/did.json'))
    const { did, url } = world.appView
    expect(did).toBe(`did:web:${encodeURIComponent(new URL(url).host)}`)
    expect(await response.json()).toMatchObject({
      id: did,
      service: [{ id: '#bsky_appview', type: 'BskyAppView', serviceEndpoint: url }],
    })
  })

  it('is healthy', async () => {
    const response = await fetch(at('/xrpc/_health'))
    expect([response.status, await response.json()]).toEqual([200, { version: '0.0.0' }])
  })

  it('names methods that it does not serve, and parameters that are wrong', async () => {
    const missing = await fetch(at('/xrpc/app.bsky.feed.getFeed?feed=at://x/y/z'))
    expect(missing.status).toBe(501)
    const wrong: readonly (readonly [string, string])[] = [
      ['app.bsky.actor.getProfile', ''],
      ['app.bsky.actor.getProfile', '?actor=not%20an%20actor'],
      ['app.bsky.actor.getProfile', '?actor=did:plc:'],
      ['app.bsky.feed.getPosts', '?uris=http://example.com'],
      ['app.bsky.feed.getLikes', '?uri=at://did:plc:x&limit=0'],
      ['app.bsky.feed.getAuthorFeed', '?actor=a.test&limit=101'],
      ['app.bsky.feed.getAuthorFeed', '?actor=a.test&limit=ten'],
      ['app.bsky.feed.getPostThread', '?uri=at://a.test/app.bsky.feed.post/1&depth=1001'],
      ['app.bsky.feed.getPostThread', '?uri=at://a.test/app.bsky.feed.post/1&parentHeight=-1'],
      ['app.bsky.feed.searchPosts', ''],
    ]
    for (const [nsid, query] of wrong) {
      const response = await fetch(at(`/xrpc/${nsid}${query}`))
      const { error } = (await response.json()) as { readonly error: string }
      expect([nsid + query, response.status, error]).toEqual([nsid + query, 400, 'InvalidRequest'])
    }
  })

  it('answers 400 for cursors that it did not issue', async () => {
    const alice = await world.account('cursor')
    const post = await world.post(alice, 'x')
    const queries = [
      [TIMELINE, {}],
      ['app.bsky.feed.getAuthorFeed', { actor: alice.did }],
      ['app.bsky.feed.getAuthorFeed', { actor: alice.did, filter: 'posts_with_media' }],
      ['app.bsky.feed.getActorLikes', { actor: alice.did }],
      ['app.bsky.feed.getLikes', { uri: post.uri }],
      ['app.bsky.feed.getRepostedBy', { uri: post.uri }],
      ['app.bsky.feed.getQuotes', { uri: post.uri }],
      ['app.bsky.feed.searchPosts', { q: 'x' }],
      ['app.bsky.graph.getFollowers', { actor: alice.did }],
      ['app.bsky.graph.getFollows', { actor: alice.did }],
      ['app.bsky.actor.searchActors', { q: 'cursor' }],
      ['app.bsky.actor.getSuggestions', {}],
      ['app.bsky.notification.listNotifications', {}],
    ] as const
    const cursors = [
      'garbage',
      '0',
      '-1',
      'null',
      'h.',
      'p.x',
      'eyJ9',
      '🙂',
      'a'.repeat(4_000),
      "' OR 1=1 --",
    ]
    for (const [nsid, params] of queries)
      for (const cursor of cursors) {
        const token = await world.token(alice, nsid)
        const { status, error } = await world.fetch(nsid, { ...params, cursor }, token)
        expect([nsid, cursor, status, error]).toEqual([nsid, cursor, 400, 'InvalidRequest'])
      }
  })
})
