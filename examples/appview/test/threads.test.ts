import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Account, type StrongRef, World } from './world.ts'

let world: World
beforeAll(async () => {
  world = await World.start()
})
afterAll(() => world[Symbol.asyncDispose]())

const THREAD = 'app.bsky.feed.getPostThread'

/** A thread as a test wants to see it: texts, or what stands instead of a post. */
interface Outline {
  readonly text: string
  readonly parent?: Outline
  readonly replies?: readonly Outline[]
}

interface Node {
  readonly $type: string
  readonly post?: { readonly record: { readonly text: string } }
  readonly parent?: Node
  readonly replies?: readonly Node[]
}

function outline(node: unknown): Outline {
  const { $type, post, parent, replies } = node as Node
  return {
    text: post?.record.text ?? $type.replace('app.bsky.feed.defs#', ''),
    ...(parent === undefined ? {} : { parent: outline(parent) }),
    ...(replies === undefined || replies.length === 0 ? {} : { replies: replies.map(outline) }),
  }
}

describe('getPostThread', () => {
  let ann: Account
  let ben: Account
  let cleo: Account
  let posts: StrongRef[]
  beforeAll(async () => {
    ;[ann, ben, cleo] = (await Promise.all(
      ['ann', 'ben', 'cleo'].map((name) => world.account(name)),
    )) as [Account, Account, Account]
    const root = await world.post(ann, 'root')
    const first = await world.reply(ben, 'first', root)
    const own = await world.reply(ann, 'own', root)
    const deep = await world.reply(cleo, 'deep', first, root)
    const deeper = await world.reply(ann, 'deeper', deep, root)
    posts = [root, first, own, deep, deeper]
  })
  const uri = (at: number): string => posts[at]!.uri

  it("nests replies, the opener's own first, then oldest first", async () => {
    const { body } = await world.get(THREAD, { uri: uri(0) })
    expect(outline(body.thread)).toEqual({
      text: 'root',
      replies: [
        { text: 'own' },
        { text: 'first', replies: [{ text: 'deep', replies: [{ text: 'deeper' }] }] },
      ],
    })
  })

  it('nests ancestors upwards', async () => {
    const { body } = await world.get(THREAD, { uri: uri(3) })
    expect(outline(body.thread)).toEqual({
      text: 'deep',
      parent: { text: 'first', parent: { text: 'root' } },
      replies: [{ text: 'deeper' }],
    })
  })

  it('keeps to depth and parentHeight', async () => {
    const flat = await world.get(THREAD, { uri: uri(3), depth: 0, parentHeight: 1 })
    expect(outline(flat.body.thread)).toEqual({ text: 'deep', parent: { text: 'first' } })
    const alone = await world.get(THREAD, { uri: uri(0), depth: 1, parentHeight: 0 })
    expect(outline(alone.body.thread)).toEqual({
      text: 'root',
      replies: [{ text: 'own' }, { text: 'first' }],
    })
  })

  it('accepts a handle as authority', async () => {
    const { body } = await world.get(THREAD, { uri: uri(0).replace(ann.did, ann.handle) })
    expect(outline(body.thread).text).toBe('root')
  })

  it('puts placeholders where the viewer is blocked', async () => {
    const viewer = await world.account('viewer')
    const block = await world.block(ben, viewer)
    const { body } = await world.get(THREAD, { uri: uri(0) }, viewer)
    expect(outline(body.thread)).toEqual({
      text: 'root',
      replies: [{ text: 'own' }, { text: 'blockedPost' }],
    })
    const below = await world.get(THREAD, { uri: uri(3) }, viewer)
    expect(outline(below.body.thread)).toEqual({
      text: 'deep',
      parent: { text: 'blockedPost' },
      replies: [{ text: 'deeper' }],
    })
    const anchor = await world.get(THREAD, { uri: uri(1) }, viewer)
    expect(anchor.body.thread).toMatchObject({
      $type: 'app.bsky.feed.defs#blockedPost',
      uri: uri(1),
      author: { did: ben.did, viewer: { blockedBy: true } },
    })
    await world.delete(ben, block)
  })

  it('drops replies across a block between others', async () => {
    const block = await world.block(cleo, ben)
    const { body } = await world.get(THREAD, { uri: uri(0) })
    expect(outline(body.thread)).toEqual({
      text: 'root',
      replies: [{ text: 'own' }, { text: 'first' }],
    })
    const below = await world.get(THREAD, { uri: uri(3) })
    expect(outline(below.body.thread).parent).toEqual({ text: 'blockedPost' })
    await world.delete(cleo, block)
  })

  it('says NotFound for a post that is not there, and puts a placeholder for a lost ancestor', async () => {
    for (const missing of [
      `at://${ann.did}/app.bsky.feed.post/3jzfcijpj2z2a`,
      'at://nobody.test/app.bsky.feed.post/3jzfcijpj2z2a',
      `at://${ann.did}`,
    ]) {
      const { status, error } = await world.get(THREAD, { uri: missing })
      expect([status, error]).toEqual([400, 'NotFound'])
    }
    const root = await world.post(ann, 'opening')
    const middle = await world.reply(ben, 'middle', root)
    const last = await world.reply(cleo, 'last', middle, root)
    await world.delete(ben, middle)
    const { body } = await world.get(THREAD, { uri: last.uri })
    expect(outline(body.thread)).toEqual({ text: 'last', parent: { text: 'notFoundPost' } })
    await world.setStatus(cleo, false, 'takendown')
    expect((await world.get(THREAD, { uri: last.uri })).error).toBe('NotFound')
    await world.setStatus(cleo, true)
  })

  it('finds replies that were indexed before what they answer', async () => {
    const rkey = '3jzfcijpj2z2b'
    const root = { uri: `at://${ann.did}/app.bsky.feed.post/${rkey}`, cid: posts[0]!.cid }
    await world.reply(ben, 'early', root)
    await world.write(ann, 'app.bsky.feed.post', { text: 'late' }, rkey)
    const { body } = await world.get(THREAD, { uri: root.uri })
    expect(outline(body.thread)).toEqual({ text: 'late', replies: [{ text: 'early' }] })
    expect(body.thread).toMatchObject({ post: { replyCount: 1 } })
  })

  it('ends a cycle of references and survives a post that answers itself', async () => {
    const reference = (rkey: string): StrongRef => ({
      uri: `at://${cleo.did}/app.bsky.feed.post/${rkey}`,
      cid: posts[0]!.cid,
    })
    const [one, two, self] = [reference('cycle-1'), reference('cycle-2'), reference('self')]
    const write = (text: string, parent: StrongRef, rkey: string): Promise<StrongRef> =>
      world.write(cleo, 'app.bsky.feed.post', { text, reply: { root: one, parent } }, rkey)
    await write('one', two, 'cycle-1')
    await write('two', one, 'cycle-2')
    await write('self', self, 'self')
    for (const { uri: anchor } of [one, two, self]) {
      const { status } = await world.get(THREAD, { uri: anchor, depth: 1000, parentHeight: 1000 })
      expect(status).toBe(200)
    }
  })

  it('answers a chain of a thousand posts from both ends', async () => {
    const author = await world.account('long')
    const root = await world.post(author, '0')
    let last = root
    for (let i = 1; i <= 1_000; i++) last = await world.reply(author, String(i), last, root)
    const down = await world.get(THREAD, { uri: root.uri, depth: 1_000, parentHeight: 0 })
    expect(down.status).toBe(200)
    expect(JSON.stringify(down.body).match(/#threadViewPost/g)).toHaveLength(1_001)
    const up = await world.get(THREAD, { uri: last.uri, depth: 0, parentHeight: 1_000 })
    expect(up.status).toBe(200)
    expect(JSON.stringify(up.body).match(/#threadViewPost/g)).toHaveLength(1_001)
  })
})

describe('quotes', () => {
  it('shows the quoted post with its embeds, and one level below it', async () => {
    const author = await world.account('quoter')
    const embed = (record: StrongRef): object => ({
      embed: { $type: 'app.bsky.embed.record', record },
    })
    const first = await world.post(author, 'first')
    const second = await world.post(author, 'second', embed(first))
    const third = await world.post(author, 'third', embed(second))
    const fourth = await world.post(author, 'fourth', embed(third))
    const { body } = await world.get('app.bsky.feed.getPosts', { uris: [fourth.uri] })
    expect(body.posts[0]?.embed).toMatchObject({
      $type: 'app.bsky.embed.record#view',
      record: {
        $type: 'app.bsky.embed.record#viewRecord',
        uri: third.uri,
        value: { text: 'third' },
        quoteCount: 1,
        embeds: [{ record: { uri: second.uri, embeds: [] } }],
      },
    })
  })

  it('shows placeholders for quoted posts that are gone, hidden or behind a block', async () => {
    const [viewer, author, quoted] = (await Promise.all(
      ['vic', 'aut', 'quo'].map((name) => world.account(name)),
    )) as [Account, Account, Account]
    const target = await world.post(quoted, 'target')
    const post = await world.post(author, 'look', {
      embed: { $type: 'app.bsky.embed.record', record: target },
    })
    const shown = async (): Promise<unknown> => {
      const { body } = await world.get('app.bsky.feed.getPosts', { uris: [post.uri] }, viewer)
      return (body.posts[0]?.embed as { record?: { $type?: string } } | undefined)?.record?.$type
    }
    const kind = (name: string): string => `app.bsky.embed.record#${name}`
    expect(await shown()).toBe(kind('viewRecord'))
    const between = await world.block(author, quoted)
    expect(await shown()).toBe(kind('viewBlocked'))
    await world.delete(author, between)
    const mine = await world.block(viewer, quoted)
    expect(await shown()).toBe(kind('viewBlocked'))
    await world.delete(viewer, mine)
    await world.setStatus(quoted, false, 'deactivated')
    expect(await shown()).toBe(kind('viewNotFound'))
    await world.setStatus(quoted, true)
    await world.delete(quoted, target)
    expect(await shown()).toBe(kind('viewNotFound'))
  })
})

it('checked the answers of this file', () => {
  expect(world.checked).toBeGreaterThan(20)
})
