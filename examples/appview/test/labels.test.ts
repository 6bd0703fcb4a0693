import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createMemoryResolver } from '@skywright/identity/testing'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { devConfig, readConfig, startAppView } from '../src/index.ts'
import { startLabeler, type Labeler } from './labeler.ts'
import { type Account, type StrongRef, World } from './world.ts'
import { until } from './until.ts'

const [ONE, TWO] = [
  'did:plc:labeleroneoneoneoneoneone',
  'did:plc:labelertwotwotwotwotwotwo',
] as const

let world: World
let one: Labeler
let two: Labeler
let alice: Account
let bob: Account
let post: StrongRef

beforeAll(async () => {
  const resolver = createMemoryResolver()
  one = await startLabeler(ONE, resolver)
  two = await startLabeler(TWO, resolver)
  world = await World.start({ labelers: [ONE, TWO] }, resolver)
  alice = await world.account('alice', { description: 'x' })
  bob = await world.account('bob')
  post = await world.post(alice, 'a post')
})
beforeEach(() => {
  world.accept = undefined
})
afterAll(async () => {
  await world?.[Symbol.asyncDispose]()
  await one?.[Symbol.asyncDispose]()
  await two?.[Symbol.asyncDispose]()
})

/** Says something, and waits until the AppView has heard it. */
async function say(labeler: Labeler, ...what: Parameters<Labeler['say']>): Promise<void> {
  const seq = await labeler.say(...what)
  const { index } = world.appView
  await until(index, async () => (await index.cursor(`labels:${labeler.did}`)) === seq)
}

/** Values on the post, with the first letter of the labeler or author before them. */
async function labelsOf(uri: string): Promise<string[]> {
  const { body } = await world.get('app.bsky.feed.getPosts', { uris: [uri] })
  const names: Readonly<Record<string, string>> = {
    [ONE]: 'one',
    [TWO]: 'two',
    [alice.did]: 'alice',
  }
  return (body.posts[0]?.labels ?? [])
    .map(({ src, val }) => `${names[src] ?? src} ${val}`)
    .toSorted()
}

describe('labels of the labelers that a request accepts', () => {
  it('are beside those of the author, without signatures, on records, accounts and profiles', async () => {
    const own = await world.post(alice, 'own', {
      labels: { $type: 'com.atproto.label.defs#selfLabels', values: [{ val: 'nudity' }] },
    })
    await say(one, own.uri, 'spam')
    await say(two, own.uri, 'rude', { cid: own.cid })
    await say(two, own.uri, 'of-another-version', { cid: post.cid })
    await say(one, alice.did, 'famous')
    await say(two, `at://${alice.did}/app.bsky.actor.profile/self`, 'odd-avatar')
    expect(await labelsOf(own.uri)).toEqual(['alice nudity', 'one spam', 'two rude'])
    const { body } = await world.get('app.bsky.actor.getProfile', { actor: alice.did })
    expect(body.labels?.map(({ val }) => val).toSorted()).toEqual(['famous', 'odd-avatar'])
    expect(JSON.stringify(body.labels)).not.toContain('sig')
    const thread = await world.get('app.bsky.feed.getPostThread', { uri: own.uri })
    expect(JSON.stringify(thread.body.thread)).toContain('"spam"')
    const feed = await world.get('app.bsky.feed.getAuthorFeed', { actor: alice.did })
    expect(feed.body.feed[0]?.post.author.labels?.map(({ val }) => val)).toContain('famous')
  })

  it('are told in a header: all that are followed by default, those asked for, or none', async () => {
    const answered = async (accept: string | undefined): Promise<string | null> => {
      world.accept = accept
      const { headers } = await world.get('app.bsky.feed.getPosts', { uris: [post.uri] })
      return headers.get('atproto-content-labelers')
    }
    expect(await answered(undefined)).toBe(`${ONE};redact, ${TWO};redact`)
    expect(await answered(`${TWO}, did:plc:unknown;redact, ${TWO};redact`)).toBe(`${TWO};redact`)
    expect(await answered(ONE)).toBe(ONE)
    expect(await answered('')).toBeNull()
    expect(await answered('did:plc:unknown')).toBeNull()
    world.accept = 'no DID'
    const refused = await world.get('app.bsky.feed.getPosts', { uris: [post.uri] })
    expect([refused.status, refused.error]).toEqual([400, 'InvalidRequest'])
  })

  it('hold until they are taken back or over', async () => {
    await say(one, post.uri, 'brief', { exp: '2100-01-01T00:00:00Z' })
    await say(one, post.uri, 'wrong')
    await say(two, post.uri, 'wrong')
    await say(one, post.uri, 'over', { exp: '2026-01-01T00:00:00Z' })
    expect(await labelsOf(post.uri)).toEqual(['one brief', 'one wrong', 'two wrong'])
    world.accept = TWO
    expect(await labelsOf(post.uri)).toEqual(['two wrong'])
    world.accept = undefined
    await say(one, post.uri, 'wrong', { neg: true })
    expect(await labelsOf(post.uri)).toEqual(['one brief', 'two wrong'])
    // An older statement that comes late changes nothing.
    await say(two, post.uri, 'wrong', { neg: true, cts: '2026-01-01T00:00:00Z' })
    await say(one, post.uri, 'brief', { exp: '2026-01-01T00:00:00Z' })
    expect(await labelsOf(post.uri)).toEqual(['two wrong'])
  })

  it('are no word of others: what a labeler passes on for another is not heard', async () => {
    await one.say(post.uri, 'of-two', { src: TWO })
    await say(one, post.uri, 'own')
    const labels = await labelsOf(post.uri)
    expect(labels).toContain('one own')
    expect(labels.join()).not.toContain('of-two')
    expect((await world.appView.status()).ingest.issues['rejected:wrong-labeler']).toBe(1)
  })
})

describe('a labeler that may redact', () => {
  it('takes a record down, for those who let it and until it takes that back', async () => {
    const bad = await world.post(alice, 'bad')
    const answer = await world.reply(bob, 'answer', bad)
    const quote = await world.post(bob, 'quoting', {
      embed: { $type: 'app.bsky.embed.record', record: bad },
    })
    const shown = async (): Promise<unknown[]> => {
      const thread = await world.get('app.bsky.feed.getPostThread', { uri: bad.uri })
      const below = await world.get('app.bsky.feed.getPostThread', { uri: answer.uri })
      const quoting = await world.get('app.bsky.feed.getPosts', { uris: [quote.uri] })
      const feed = await world.get('app.bsky.feed.getAuthorFeed', { actor: alice.did })
      const search = await world.get('app.bsky.feed.searchPosts', { q: 'bad' })
      return [
        thread.status,
        JSON.stringify(below.body.thread).includes('notFoundPost'),
        JSON.stringify(quoting.body.posts[0]?.embed).includes('viewNotFound'),
        feed.body.feed.some(({ post: item }) => item.uri === bad.uri),
        search.body.posts.length,
        (await world.get('app.bsky.feed.getPosts', { uris: [bad.uri] })).body.posts.length,
      ]
    }
    const visible = [200, false, false, true, 1, 1]
    expect(await shown()).toEqual(visible)
    await say(one, bad.uri, '!takedown')
    expect(await shown()).toEqual([400, true, true, false, 0, 0])
    // It is a label like others to who does not let it.
    world.accept = ONE
    expect(await shown()).toEqual(visible)
    expect(await labelsOf(bad.uri)).toEqual(['one !takedown'])
    world.accept = `${TWO};redact`
    expect(await shown()).toEqual(visible)
    world.accept = undefined
    await say(one, bad.uri, '!takedown', { neg: true })
    expect(await shown()).toEqual(visible)
  })

  it('takes an account down with all it wrote', async () => {
    const carol = await world.account('carol', { displayName: 'carol' })
    const written = await world.post(carol, 'by carol')
    await world.follow(carol, bob)
    await say(two, carol.did, '!suspend')
    const profile = await world.get('app.bsky.actor.getProfile', { actor: carol.did })
    expect([profile.status, profile.error]).toEqual([400, 'AccountTakedown'])
    const posts = await world.get('app.bsky.feed.getPosts', { uris: [written.uri] })
    expect(posts.body.posts).toEqual([])
    const followers = await world.get('app.bsky.graph.getFollowers', { actor: bob.did })
    expect(followers.body.followers).toEqual([])
    const found = await world.get('app.bsky.actor.searchActors', { q: 'carol' })
    expect(found.body.actors).toEqual([])
    const cid = written.cid
    expect((await fetch(`${world.appView.url}/blob/${carol.did}/${cid}`)).status).not.toBe(302)
    world.accept = TWO
    expect((await world.get('app.bsky.actor.getProfile', { actor: carol.did })).status).toBe(200)
  })

  it('takes the profile down and leaves the account', async () => {
    const dora = await world.account('dora', { displayName: 'terrible name' })
    await say(one, `at://${dora.did}/app.bsky.actor.profile/self`, '!takedown')
    const { status, body } = await world.get('app.bsky.actor.getProfile', { actor: dora.did })
    expect([status, body.displayName, body.handle]).toEqual([200, undefined, 'dora.test'])
  })

  it('holds a record back for review, but not from its author and who follows them', async () => {
    const held = await world.post(alice, 'held')
    const fan = await world.account('fan')
    await world.follow(fan, alice)
    await say(one, held.uri, 'needs-review')
    const seen = async (as?: Account): Promise<number> =>
      (await world.get('app.bsky.feed.getPosts', { uris: [held.uri] }, as)).body.posts.length
    expect([await seen(), await seen(bob), await seen(alice), await seen(fan)]).toEqual([
      0, 0, 1, 1,
    ])
    const { body } = await world.get('app.bsky.feed.getPosts', { uris: [held.uri] }, fan)
    expect(body.posts[0]?.labels).toEqual([])
    // Without the right to redact it is a label, and the client's matter.
    world.accept = ONE
    expect(await labelsOf(held.uri)).toEqual(['one needs-review'])
  })

  it('leaves hiding to the client', async () => {
    const warned = await world.post(alice, 'warned')
    await say(one, warned.uri, '!hide')
    expect(await labelsOf(warned.uri)).toEqual(['one !hide'])
  })
})

describe('a restart', () => {
  it('goes on where it was in each labeler', async () => {
    const resolver = createMemoryResolver()
    await using labeler = await startLabeler(ONE, resolver)
    const dataDirectory = mkdtempSync(join(tmpdir(), 'appview-labels-'))
    const url = 'http://localhost:1'
    const required = { dataDirectory, plcUrl: url, relay: url }
    const config = devConfig(required, { backfill: false, labelers: [ONE] })
    try {
      let said = 0
      for (const val of ['before', 'meanwhile', 'after']) {
        said = await labeler.say(post.uri, val)
        await using appView = await startAppView(config, { resolver })
        const { index } = appView
        await until(index, async () => (await index.cursor(`labels:${ONE}`)) === said)
        const accepted = await index.acceptLabelers(ONE)
        expect((await index.labels([post.uri], accepted)).get(post.uri)?.labels).toHaveLength(said)
      }
      expect(said).toBe(3)
    } finally {
      rmSync(dataDirectory, { recursive: true, force: true })
    }
  })
})

describe('the setting', () => {
  it('is a list of DIDs', () => {
    const url = { APPVIEW_PUBLIC_URL: 'https://appview.example.com' }
    const { labelers } = readConfig({
      ...url,
      APPVIEW_LABELERS: ` ${ONE}, did:web:l.example ,${ONE}`,
    })
    expect(labelers).toEqual([ONE, 'did:web:l.example'])
    expect(() => readConfig({ ...url, APPVIEW_LABELERS: 'x' })).toThrow('APPVIEW_LABELERS')
    const many = Array.from({ length: 21 }, (_, n) => `did:web:l${n}.example`).join()
    expect(() => readConfig({ ...url, APPVIEW_LABELERS: many })).toThrow('at most 20')
  })
})
