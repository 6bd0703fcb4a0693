import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Account, blob, type StrongRef, World } from './world.ts'

let world: World
beforeAll(async () => {
  world = await World.start()
})
afterAll(() => world[Symbol.asyncDispose]())

function accounts(...names: readonly string[]): Promise<Account[]> {
  return Promise.all(names.map((name) => world.account(name)))
}

/** Every page of a list of accounts, by DID. */
async function dids(
  read: (page: { readonly limit: number; readonly cursor?: string }) => Promise<{
    readonly dids: readonly string[]
    readonly cursor: string | undefined
  }>,
  limit: number,
): Promise<string[]> {
  const all: string[] = []
  let cursor: string | undefined
  for (let pages = 0; pages < 50; pages++) {
    const page = await read({ limit, ...(cursor === undefined ? {} : { cursor }) })
    all.push(...page.dids)
    cursor = page.cursor
    if (cursor === undefined) return all
  }
  throw new Error('paging does not end')
}

describe('getLikes and getRepostedBy', () => {
  let author: Account
  let fans: Account[]
  let post: StrongRef
  beforeAll(async () => {
    author = await world.account('author')
    fans = await accounts('fan1', 'fan2', 'fan3', 'fan4', 'fan5')
    post = await world.post(author, 'popular')
    // One instant for all: only a tiebreak keeps the pages apart.
    const createdAt = '2026-02-02T00:00:00.000Z'
    for (const fan of fans)
      for (const collection of ['app.bsky.feed.like', 'app.bsky.feed.repost'])
        await world.write(fan, collection, { subject: post, createdAt })
  })
  const likes = async (
    page: { readonly limit: number; readonly cursor?: string },
    as?: Account,
  ): Promise<{ dids: string[]; cursor: string | undefined }> => {
    const { body } = await world.get('app.bsky.feed.getLikes', { uri: post.uri, ...page }, as)
    return { dids: body.likes.map((like) => like.actor.did), cursor: body.cursor }
  }
  const reposts = async (
    page: { readonly limit: number; readonly cursor?: string },
    as?: Account,
  ): Promise<{ dids: string[]; cursor: string | undefined }> => {
    const { body } = await world.get('app.bsky.feed.getRepostedBy', { uri: post.uri, ...page }, as)
    return { dids: body.repostedBy.map((actor) => actor.did), cursor: body.cursor }
  }

  it.each([1, 2, 5, 100])('pages by %i through reactions of one instant', async (limit) => {
    const everybody = fans.map((fan) => fan.did).toSorted()
    expect((await dids(likes, limit)).toSorted()).toEqual(everybody)
    expect((await dids(reposts, limit)).toSorted()).toEqual(everybody)
  })

  it('tells when a like was made and echoes the question', async () => {
    const uri = post.uri.replace(author.did, author.handle)
    const { body } = await world.get('app.bsky.feed.getLikes', { uri, cid: post.cid })
    expect(body).toMatchObject({ uri: post.uri, cid: post.cid })
    expect(body.likes[0]).toMatchObject({ createdAt: '2026-02-02T00:00:00.000Z' })
  })

  it('leaves out hidden accounts and those across a block, and still fills the page', async () => {
    const [hidden, foe] = fans as [Account, Account]
    await world.setStatus(hidden, false, 'suspended')
    const block = await world.block(foe, author)
    const rest = fans.slice(2).map((fan) => fan.did)
    const page = await likes({ limit: 3 }, author)
    expect(page.dids.toSorted()).toEqual(rest.toSorted())
    expect((await reposts({ limit: 3 }, author)).dids).toHaveLength(3)
    await world.delete(foe, block)
    await world.setStatus(hidden, true)
  })

  it('answers an empty list for what nobody liked, or nobody knows', async () => {
    const uri = `at://${author.did}/app.bsky.feed.post/3jzfcijpj2z2a`
    const { status, body } = await world.get('app.bsky.feed.getLikes', { uri })
    expect([status, body.likes, body.cursor]).toEqual([200, [], undefined])
  })
})

describe('getFollowers and getFollows', () => {
  it('list both sides of a follow, newest first, until it is deleted', async () => {
    const [star, ...fans] = (await accounts('star', 'f1', 'f2', 'f3')) as [Account, ...Account[]]
    const follows: StrongRef[] = []
    for (const fan of fans) follows.push(await world.follow(fan, star))
    const actor = star.handle
    const { body } = await world.get('app.bsky.graph.getFollowers', { actor }, fans[0])
    expect(body.subject).toMatchObject({ did: star.did, viewer: { following: follows[0]!.uri } })
    expect(body.followers.map(({ did }) => did)).toEqual(fans.map(({ did }) => did).toReversed())
    const follow = await world.get('app.bsky.graph.getFollows', { actor: fans[0]!.did })
    expect(follow.body.follows.map(({ did }) => did)).toEqual([star.did])
    await world.delete(fans[0]!, follows[0]!)
    const after = await world.get('app.bsky.graph.getFollowers', { actor })
    expect(after.body.followers).toHaveLength(2)
    const none = await world.get('app.bsky.graph.getFollows', { actor: fans[0]!.did })
    expect(none.body.follows).toEqual([])
  })

  it('leave out accounts that were never seen', async () => {
    const [follower] = (await accounts('lonely')) as [Account]
    await world.follow(follower, world.stranger('unseen'))
    const { body } = await world.get('app.bsky.graph.getFollows', { actor: follower.did })
    expect(body.follows).toEqual([])
  })

  it('refuse unknown accounts', async () => {
    for (const nsid of ['app.bsky.graph.getFollowers', 'app.bsky.graph.getFollows'] as const)
      expect((await world.get(nsid, { actor: 'nobody.test' })).status).toBe(400)
  })
})

describe('getRelationships', () => {
  it('tells each direction, and what is not known', async () => {
    const [me, you] = (await accounts('me', 'you')) as [Account, Account]
    const follow = await world.follow(me, you)
    const block = await world.block(you, me)
    const others = [you.handle, 'nobody.test']
    const { body } = await world.get('app.bsky.graph.getRelationships', { actor: me.did, others })
    expect(body).toEqual({
      actor: me.did,
      relationships: [
        {
          $type: 'app.bsky.graph.defs#relationship',
          did: you.did,
          following: follow.uri,
          blockedBy: block.uri,
        },
        { $type: 'app.bsky.graph.defs#notFoundActor', actor: 'nobody.test', notFound: true },
      ],
    })
    const unknown = await world.get('app.bsky.graph.getRelationships', { actor: 'nobody.test' })
    expect(unknown.error).toBe('ActorNotFound')
  })
})

describe('getQuotes', () => {
  it('lists quotes of both kinds, newest first', async () => {
    const [author, quoter] = (await accounts('quoted', 'quoter')) as [Account, Account]
    const post = await world.post(author, 'quote me')
    const record = { $type: 'app.bsky.embed.record', record: post }
    const plain = await world.post(quoter, 'plain', { embed: record })
    const images = [{ image: blob('meme'), alt: '' }]
    const withMedia = await world.post(quoter, 'media', {
      embed: {
        $type: 'app.bsky.embed.recordWithMedia',
        record,
        media: { $type: 'app.bsky.embed.images', images },
      },
    })
    const uris: string[] = []
    let cursor: string | undefined
    do {
      const page = { uri: post.uri, limit: 1, ...(cursor === undefined ? {} : { cursor }) }
      const { body } = await world.get('app.bsky.feed.getQuotes', page)
      uris.push(...body.posts.map(({ uri }) => uri))
      cursor = body.cursor
    } while (cursor !== undefined)
    expect(uris).toEqual([withMedia.uri, plain.uri])
    const { body } = await world.get('app.bsky.feed.getPosts', { uris: [withMedia.uri] })
    expect(body.posts[0]?.embed).toMatchObject({
      $type: 'app.bsky.embed.recordWithMedia#view',
      record: { record: { $type: 'app.bsky.embed.record#viewRecord', uri: post.uri } },
      media: { $type: 'app.bsky.embed.images#view' },
    })
  })
})

describe('getPosts', () => {
  it('answers in the order asked, each once, without those unknown, hidden or blocked', async () => {
    const [author, foe, viewer] = (await accounts('writer', 'villain', 'judge')) as [
      Account,
      Account,
      Account,
    ]
    const one = await world.post(author, 'one')
    const two = await world.post(author, 'two')
    const bad = await world.post(foe, 'bad')
    await world.block(viewer, foe)
    const unknown = `at://${author.did}/app.bsky.feed.post/3jzfcijpj2z2a`
    const uris = [two.uri, unknown, bad.uri, one.uri.replace(author.did, author.handle), two.uri]
    const { body } = await world.get('app.bsky.feed.getPosts', { uris }, viewer)
    expect(body.posts.map(({ uri }) => uri)).toEqual([two.uri, one.uri])
    const open = await world.get('app.bsky.feed.getPosts', { uris })
    expect(open.body.posts).toHaveLength(3)
  })

  it('shows links with their preview, and leaves out an embed of the future', async () => {
    const [author] = (await accounts('linker')) as [Account]
    const external = { uri: 'https://example.com/', title: 'T', description: 'D' }
    const link = await world.post(author, 'link', {
      embed: {
        $type: 'app.bsky.embed.external',
        external: { ...external, thumb: blob('preview') },
      },
    })
    const odd = await world.post(author, 'odd', { embed: { $type: 'com.example.embed', x: 1 } })
    const uris = [link.uri, odd.uri]
    const { body } = await world.get('app.bsky.feed.getPosts', { uris })
    expect(body.posts[0]?.embed).toMatchObject({
      $type: 'app.bsky.embed.external#view',
      external: { ...external, thumb: expect.stringContaining('/img/feed_thumbnail/plain/') },
    })
    expect(body.posts[1]?.embed).toBeUndefined()
    expect(body.posts[1]?.record).toMatchObject({ embed: { $type: 'com.example.embed' } })
  })
})

describe('getFeedGenerator and getFeedGenerators', () => {
  it('show the record, its creator and likes', async () => {
    const [maker, fan] = (await accounts('maker', 'feedfan')) as [Account, Account]
    const feed = await world.write(maker, 'app.bsky.feed.generator', {
      did: 'did:web:feeds.example',
      displayName: 'Cats',
      description: 'only cats',
      avatar: blob('cat'),
      createdAt: '2026-01-01T00:00:00Z',
    })
    const like = await world.like(fan, feed)
    const { body } = await world.get('app.bsky.feed.getFeedGenerator', { feed: feed.uri }, fan)
    expect(body).toMatchObject({
      view: {
        uri: feed.uri,
        did: 'did:web:feeds.example',
        creator: { did: maker.did },
        displayName: 'Cats',
        likeCount: 1,
        viewer: { like: like.uri },
      },
      isOnline: true,
      isValid: true,
    })
    const feeds = [feed.uri, feed.uri.replace(/[^/]+$/, 'other')]
    const many = await world.get('app.bsky.feed.getFeedGenerators', { feeds })
    expect(many.body.feeds).toHaveLength(1)
    const none = await world.get('app.bsky.feed.getFeedGenerator', { feed: feeds[1]! })
    expect(none.status).toBe(400)
  })
})

describe('getSuggestions', () => {
  it('leaves out the viewer and whom it follows already', async () => {
    const [viewer, known, fresh] = (await accounts('seeker', 'known', 'fresh')) as [
      Account,
      Account,
      Account,
    ]
    await world.follow(viewer, known)
    const { body } = await world.get('app.bsky.actor.getSuggestions', { limit: 100 }, viewer)
    const found = body.actors.map(({ did }) => did)
    expect(found).toContain(fresh.did)
    expect(found).not.toContain(known.did)
    expect(found).not.toContain(viewer.did)
  })
})

it('checked the answers of this file', () => {
  expect(world.checked).toBeGreaterThan(35)
})
