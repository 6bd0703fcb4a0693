import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Account, blob, type StrongRef, World } from './world.ts'

let world: World
beforeAll(async () => {
  world = await World.start()
})
afterAll(() => world[Symbol.asyncDispose]())

const TIMELINE = 'app.bsky.feed.getTimeline'
const AUTHOR_FEED = 'app.bsky.feed.getAuthorFeed'
/** Of a blob as records named it before 2023, by its text alone. */
const LEGACY_CID = 'bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku'

async function allPages(
  read: (cursor: string | undefined) => Promise<{
    readonly body: {
      readonly cursor?: string | undefined
      readonly feed: readonly { readonly post: { readonly uri: string } }[]
    }
  }>,
): Promise<string[]> {
  const uris: string[] = []
  let cursor: string | undefined
  let pages = 0
  do {
    const { body } = await read(cursor)
    uris.push(...body.feed.map((item) => item.post.uri))
    cursor = body.cursor
    if (++pages > 100) throw new Error('paging does not end')
  } while (cursor !== undefined)
  return uris
}

/** Posts with the same time, so that only a tiebreak keeps pages apart. */
async function simultaneousPosts(author: Account, count: number): Promise<StrongRef[]> {
  const createdAt = '2026-01-01T00:00:00.000Z'
  const posts: StrongRef[] = []
  for (let i = 0; i < count; i++) posts.push(await world.post(author, `tie ${i}`, { createdAt }))
  return posts
}

describe('getTimeline', () => {
  it('merges posts and reposts of followed accounts and the viewer, newest first', async () => {
    const viewer = await world.account('viewer')
    const friend = await world.account('friend')
    const other = await world.account('other')
    await world.follow(viewer, friend)
    const mine = await world.post(viewer, 'mine')
    const theirs = await world.post(friend, 'theirs')
    const unseen = await world.post(other, 'not followed')
    const repost = await world.repost(friend, unseen)
    const { body } = await world.get(TIMELINE, {}, viewer)
    expect(body.feed.map((item) => item.post.uri)).toEqual([unseen.uri, theirs.uri, mine.uri])
    expect(body.feed[0]?.reason).toMatchObject({
      $type: 'app.bsky.feed.defs#reasonRepost',
      by: { did: friend.did, handle: friend.handle },
      uri: repost.uri,
      cid: repost.cid,
    })
    expect(body.feed[1]?.reason).toBeUndefined()
    expect(body.feed[1]?.post.author.viewer?.following).toMatch(/^at:\/\//)
    expect(body.cursor).toBeUndefined()
  })

  it('shows the parent, the root and whom the parent answers', async () => {
    const viewer = await world.account('reader')
    const [a, b, c] = await Promise.all(['ann', 'ben', 'cid'].map((name) => world.account(name)))
    await world.follow(viewer, c!)
    const root = await world.post(a!, 'root')
    const parent = await world.reply(b!, 'parent', root)
    const reply = await world.reply(c!, 'reply', parent, root)
    const { body } = await world.get(TIMELINE, {}, viewer)
    expect(body.feed[0]).toMatchObject({
      post: { uri: reply.uri },
      reply: {
        root: { $type: 'app.bsky.feed.defs#postView', uri: root.uri },
        parent: { $type: 'app.bsky.feed.defs#postView', uri: parent.uri },
        grandparentAuthor: { did: a!.did },
      },
    })
    await world.delete(b!, parent)
    const after = await world.get(TIMELINE, {}, viewer)
    expect(after.body.feed[0]?.reply?.parent).toEqual({
      $type: 'app.bsky.feed.defs#notFoundPost',
      uri: parent.uri,
      notFound: true,
    })
  })

  it('gives the viewer state and counts of each post', async () => {
    const viewer = await world.account('liker')
    const friend = await world.account('liked')
    await world.follow(viewer, friend)
    const post = await world.post(friend, 'like me')
    const like = await world.like(viewer, post)
    const repost = await world.repost(viewer, post)
    await world.reply(viewer, 'nice', post)
    const quote = { $type: 'app.bsky.embed.record', record: post }
    await world.post(viewer, 'look', { embed: quote })
    const { body } = await world.get(TIMELINE, {}, viewer)
    const item = body.feed.find(({ post: { uri }, reason }) => uri === post.uri && !reason)
    expect(item?.post).toMatchObject({
      likeCount: 1,
      repostCount: 1,
      replyCount: 1,
      quoteCount: 1,
      viewer: { like: like.uri, repost: repost.uri },
    })
    await world.delete(viewer, like)
    const after = await world.get('app.bsky.feed.getPosts', { uris: [post.uri] }, viewer)
    expect(after.body.posts[0]).toMatchObject({ likeCount: 0 })
    expect(after.body.posts[0]?.viewer?.like).toBeUndefined()
  })

  it('counts a second like of the same post once, until both are gone', async () => {
    const fan = await world.account('fan')
    const post = await world.post(fan, 'twice')
    const first = await world.like(fan, post)
    const second = await world.like(fan, post)
    const count = async (): Promise<unknown> => {
      const { body } = await world.get('app.bsky.feed.getPosts', { uris: [post.uri] }, fan)
      return [body.posts[0]?.likeCount, body.posts[0]?.viewer?.like]
    }
    expect(await count()).toEqual([1, first.uri])
    await world.delete(fan, first)
    expect(await count()).toEqual([1, second.uri])
    await world.delete(fan, second)
    expect(await count()).toEqual([0, undefined])
  })

  it('leaves out what stands behind a block with the viewer, as author, reposter or ancestor', async () => {
    const viewer = await world.account('blocker')
    const friend = await world.account('between')
    const foe = await world.account('foe')
    await world.follow(viewer, friend)
    await world.follow(viewer, foe)
    const fine = await world.post(friend, 'fine')
    const bad = await world.post(foe, 'bad')
    await world.repost(friend, bad)
    await world.repost(foe, fine)
    await world.reply(friend, 'to the foe', bad)
    const before = await world.get(TIMELINE, {}, viewer)
    expect(before.body.feed).toHaveLength(5)
    const block = await world.block(foe, viewer)
    const blocked = await world.get(TIMELINE, {}, viewer)
    expect(blocked.body.feed.map((item) => item.post.uri)).toEqual([fine.uri])
    await world.delete(foe, block)
    await world.block(viewer, foe)
    const blocking = await world.get(TIMELINE, {}, viewer)
    expect(blocking.body.feed.map((item) => item.post.uri)).toEqual([fine.uri])
  })

  it('hides accounts that are not active and shows them again', async () => {
    const viewer = await world.account('watcher')
    const friend = await world.account('comes')
    await world.follow(viewer, friend)
    const post = await world.post(friend, 'here')
    await world.setStatus(friend, false, 'deactivated')
    expect((await world.get(TIMELINE, {}, viewer)).body.feed).toEqual([])
    await world.setStatus(friend, true)
    const { body } = await world.get(TIMELINE, {}, viewer)
    expect(body.feed.map((item) => item.post.uri)).toEqual([post.uri])
  })

  it('pages through posts of one instant without losing or repeating any', async () => {
    const viewer = await world.account('pager')
    const friends = await Promise.all(['tim', 'tom', 'tam'].map((name) => world.account(name)))
    for (const friend of friends) await world.follow(viewer, friend)
    const posts = (await Promise.all(friends.map((friend) => simultaneousPosts(friend, 7)))).flat()
    for (const limit of [1, 4, 21]) {
      const uris = await allPages((cursor) =>
        world.get(TIMELINE, { limit, ...(cursor === undefined ? {} : { cursor }) }, viewer),
      )
      expect(new Set(uris).size).toBe(21)
      expect(uris.toSorted()).toEqual(posts.map((post) => post.uri).toSorted())
    }
  })

  it('keeps its place when newer posts arrive between pages', async () => {
    const viewer = await world.account('slow')
    for (let i = 0; i < 6; i++) await world.post(viewer, `old ${i}`)
    const first = await world.get(TIMELINE, { limit: 3 }, viewer)
    await world.post(viewer, 'new')
    const cursor = first.body.cursor!
    const second = await world.get(TIMELINE, { limit: 10, cursor }, viewer)
    const texts = second.body.feed.map((item) => (item.post.record as { text?: unknown }).text)
    expect(texts).toEqual(['old 2', 'old 1', 'old 0'])
  })

  it('needs an account', async () => {
    const { status, error } = await world.get(TIMELINE)
    expect([status, error]).toEqual([401, 'AuthenticationRequired'])
  })

  it('says up to which revision the viewer is in the answer', async () => {
    const viewer = await world.account('revved')
    const { headers } = await world.get(TIMELINE, {}, viewer)
    expect(headers.get('atproto-repo-rev')).toBe(world.rev(viewer))
    await world.post(viewer, 'later')
    const later = await world.get('app.bsky.actor.getProfile', { actor: viewer.did }, viewer)
    expect(later.headers.get('atproto-repo-rev')).toBe(world.rev(viewer))
    const nobody = await world.get('app.bsky.actor.getProfile', { actor: viewer.did })
    expect(nobody.headers.has('atproto-repo-rev')).toBe(false)
  })
})

describe('getAuthorFeed', () => {
  let author: Account
  let posts: Record<string, StrongRef>
  beforeAll(async () => {
    author = await world.account('author')
    const reader = await world.account('critic')
    const foreign = await world.post(reader, 'foreign')
    const images = [{ image: blob('cat'), alt: 'a cat', aspectRatio: { width: 2, height: 1 } }]
    const plain = await world.post(author, 'plain')
    posts = {
      foreign,
      plain,
      image: await world.post(author, 'image', {
        embed: { $type: 'app.bsky.embed.images', images },
      }),
      video: await world.post(author, 'video', {
        embed: { $type: 'app.bsky.embed.video', video: blob('movie', 'video/mp4') },
      }),
      own: await world.reply(author, 'own thread', plain),
      reply: await world.reply(author, 'to a reader', foreign),
    }
    await world.repost(author, foreign)
  })
  const names = (uris: readonly string[]): (string | undefined)[] =>
    uris.map((uri) => Object.keys(posts).find((name) => posts[name]?.uri === uri))

  it.each([
    ['posts_with_replies', ['foreign', 'reply', 'own', 'video', 'image', 'plain']],
    ['posts_no_replies', ['foreign', 'video', 'image', 'plain']],
    ['posts_and_author_threads', ['foreign', 'own', 'video', 'image', 'plain']],
    ['posts_with_media', ['video', 'image']],
    ['posts_with_video', ['video']],
  ])('filters by %s, page by page', async (filter, expected) => {
    const actor = author.did
    for (const limit of [1, 2, 50]) {
      const uris = await allPages((cursor) =>
        world.get(AUTHOR_FEED, {
          actor,
          filter,
          limit,
          ...(cursor === undefined ? {} : { cursor }),
        }),
      )
      expect(names(uris)).toEqual(expected)
    }
  })

  it('puts the pinned post on top, once', async () => {
    const pinnedPost = posts['plain']
    await world.write(author, 'app.bsky.actor.profile', { pinnedPost }, 'self')
    const params = { actor: author.handle, includePins: true }
    const { body } = await world.get(AUTHOR_FEED, params, author)
    expect(body.feed[0]).toMatchObject({
      post: { uri: posts['plain']?.uri, viewer: { pinned: true } },
      reason: { $type: 'app.bsky.feed.defs#reasonPin' },
    })
    expect(body.feed.filter((item) => item.post.uri === posts['plain']?.uri)).toHaveLength(1)
    const unpinned = await world.get(AUTHOR_FEED, { actor: author.handle })
    expect(unpinned.body.feed.at(-1)?.post.uri).toBe(posts['plain']?.uri)
  })

  it('is refused across a block, by its name for each direction', async () => {
    const viewer = await world.account('enemy')
    const actor = author.did
    const block = await world.block(viewer, author)
    expect((await world.get(AUTHOR_FEED, { actor }, viewer)).error).toBe('BlockedActor')
    await world.delete(viewer, block)
    const other = await world.block(author, viewer)
    expect((await world.get(AUTHOR_FEED, { actor }, viewer)).error).toBe('BlockedByActor')
    await world.delete(author, other)
    expect((await world.get(AUTHOR_FEED, { actor }, viewer)).status).toBe(200)
  })

  it('shows what hosts of former years let through: datetimes without a zone, blobs of the old form', async () => {
    const old = await world.account('old', { avatar: { cid: LEGACY_CID, mimeType: 'image/png' } })
    await world.post(old, 'no zone', { createdAt: '2023-01-02T03:04:05.678' })
    await world.post(old, 'old blob', {
      createdAt: '2023-01-02T03:04:06',
      embed: {
        $type: 'app.bsky.embed.images',
        images: [{ alt: 'old', image: { cid: LEGACY_CID, mimeType: 'image/png' } }],
      },
    })
    const { body } = await world.get(AUTHOR_FEED, { actor: old.did })
    const posts = body.feed.map(({ post }) => post)
    expect(
      posts.map(({ record }) => (record as { readonly text: string }).text).toSorted(),
    ).toEqual(['no zone', 'old blob'])
    const url = `${world.appView.url}/img/feed_thumbnail/plain/${old.did}/${LEGACY_CID}`
    expect(posts.find(({ embed }) => embed !== undefined)?.embed).toMatchObject({
      images: [{ alt: 'old', thumb: url }],
    })
    expect(posts[0]?.author.avatar).toBe(
      `${world.appView.url}/img/avatar/plain/${old.did}/${LEGACY_CID}`,
    )
  })

  it('shows images and videos by URLs of this server', async () => {
    const { body } = await world.get(AUTHOR_FEED, { actor: author.did, filter: 'posts_with_media' })
    const [video, image] = body.feed.map((item) => item.post.embed)
    const own = (path: string): unknown =>
      expect.stringMatching(new RegExp(`^${world.appView.url}${path}/did:plc:[a-z0-9]+/bafkrei`))
    expect(image).toEqual({
      $type: 'app.bsky.embed.images#view',
      images: [
        {
          thumb: own('/img/feed_thumbnail/plain'),
          fullsize: own('/img/feed_fullsize/plain'),
          alt: 'a cat',
          aspectRatio: { width: 2, height: 1 },
        },
      ],
    })
    expect(video).toMatchObject({ $type: 'app.bsky.embed.video#view', playlist: own('/blob') })
  })
})

describe('getActorLikes', () => {
  it('lists the posts that the viewer likes, and only to the viewer', async () => {
    const fan = await world.account('likes')
    const idol = await world.account('idol')
    const first = await world.post(idol, 'first')
    const second = await world.post(idol, 'second')
    await world.like(fan, first)
    await world.like(fan, second)
    const actor = fan.did
    const { body } = await world.get('app.bsky.feed.getActorLikes', { actor }, fan)
    expect(body.feed.map((item) => item.post.uri)).toEqual([second.uri, first.uri])
    expect((await world.get('app.bsky.feed.getActorLikes', { actor }, idol)).status).toBe(400)
    expect((await world.get('app.bsky.feed.getActorLikes', { actor })).status).toBe(401)
  })
})

it('checked the answers of this file', () => {
  expect(world.checked).toBeGreaterThan(60)
})
