import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Account, type StrongRef, World } from './world.ts'

let world: World
beforeAll(async () => {
  world = await World.start()
})
afterAll(() => world[Symbol.asyncDispose]())

describe('searchActors', () => {
  let cats: Account[]
  beforeAll(async () => {
    cats = [
      await world.account('catherine', { displayName: 'Someone' }),
      await world.account('catalog', { displayName: 'Cat Alog' }),
      await world.account('tom', { displayName: 'Tom Cat', description: 'loves Müsli' }),
      await world.account('dog', { displayName: 'Rex' }),
    ]
  })
  async function found(q: string, limit = 25, as?: Account): Promise<string[]> {
    const handles: string[] = []
    let cursor: string | undefined
    do {
      const page = { q, limit, ...(cursor === undefined ? {} : { cursor }) }
      const { body } = await world.get('app.bsky.actor.searchActors', page, as)
      handles.push(...body.actors.map(({ handle }) => handle))
      cursor = body.cursor
    } while (cursor !== undefined)
    return handles
  }

  it.each([1, 2, 25])(
    'finds handles by prefix, then profiles by word, %i a page',
    async (limit) => {
      expect(await found('cat', limit)).toEqual(['catalog.test', 'catherine.test', 'tom.test'])
    },
  )

  it('takes an at sign, a full handle, accents and several words', async () => {
    expect(await found('@tom.test')).toEqual(['tom.test'])
    expect(await found('musli')).toEqual(['tom.test'])
    expect(await found('tom cat')).toEqual(['tom.test'])
    expect(await found('CATHER')).toEqual(['catherine.test'])
  })

  it('finds nothing for punctuation, operators or nothing', async () => {
    for (const q of ['', '   ', '"', '*', '%', "';--", 'OR', '(', 'NEAR(a b)'])
      expect(await found(q)).toEqual([])
  })

  it('leaves out hidden accounts and those across a block', async () => {
    const [catherine, catalog] = cats as [Account, Account]
    await world.setStatus(catherine, false, 'takendown')
    const block = await world.block(catalog, cats[3]!)
    expect(await found('cat', 25, cats[3])).toEqual(['tom.test'])
    await world.delete(catalog, block)
    await world.setStatus(catherine, true)
  })

  it('completes while typing, followed accounts first', async () => {
    await world.follow(cats[3]!, cats[2]!)
    const q = 'cat'
    const { body } = await world.get('app.bsky.actor.searchActorsTypeahead', { q }, cats[3])
    expect(body.actors.map(({ handle }) => handle)).toEqual([
      'tom.test',
      'catalog.test',
      'catherine.test',
    ])
    const short = await world.get('app.bsky.actor.searchActorsTypeahead', { q, limit: 1 })
    expect(short.body.actors).toHaveLength(1)
    const old = await world.get('app.bsky.actor.searchActorsTypeahead', { term: 'catal' })
    expect(old.body.actors).toHaveLength(1)
  })
})

describe('searchPosts', () => {
  let author: Account
  let other: Account
  let posts: Record<string, StrongRef>
  beforeAll(async () => {
    author = await world.account('writer')
    other = await world.account('other')
    const facet = (feature: object): object => ({
      facets: [{ index: { byteStart: 0, byteEnd: 4 }, features: [feature] }],
    })
    const old = { createdAt: '2020-05-05T00:00:00.000Z' }
    posts = {
      old: await world.post(author, 'green apples long ago', old),
      plain: await world.post(author, 'green apples and pears'),
      quoted: await world.post(other, 'apples are not always green'),
      tagged: await world.post(author, '#Fruit of the day', {
        ...facet({ $type: 'app.bsky.richtext.facet#tag', tag: 'Fruit' }),
      }),
      hidden: await world.post(other, 'an outer tag', { tags: ['fruit'] }),
      mention: await world.post(other, `@${author.handle} look`, {
        ...facet({ $type: 'app.bsky.richtext.facet#mention', did: author.did }),
      }),
      link: await world.post(author, 'read this', {
        langs: ['en-GB'],
        ...facet({
          $type: 'app.bsky.richtext.facet#link',
          uri: 'https://www.example.com/a?b=c#d',
        }),
      }),
      german: await world.post(author, 'grüne Äpfel', { langs: ['de'] }),
    }
  })
  async function found(params: object, limit = 25): Promise<(string | undefined)[]> {
    const names: (string | undefined)[] = []
    let cursor: string | undefined
    do {
      const page = { q: '', ...params, limit, ...(cursor === undefined ? {} : { cursor }) }
      const { status, body } = await world.get('app.bsky.feed.searchPosts', page, author)
      expect(status).toBe(200)
      for (const { uri } of body.posts)
        names.push(Object.keys(posts).find((name) => posts[name]?.uri === uri))
      cursor = body.cursor
    } while (cursor !== undefined)
    return names
  }

  it('finds posts with every word, newest first, page by page', async () => {
    for (const limit of [1, 2, 25])
      expect(await found({ q: 'apples green' }, limit)).toEqual(['quoted', 'plain', 'old'])
    expect(await found({ q: '"green apples"' })).toEqual(['plain', 'old'])
    expect(await found({ q: 'grune apfel' })).toEqual(['german'])
    expect(await found({ q: 'apples bananas' })).toEqual([])
  })

  it('filters by author, time, language, tag, mention, link and domain', async () => {
    expect(await found({ q: 'apples', author: other.handle })).toEqual(['quoted'])
    expect(await found({ q: 'apples', since: '2021-01-01' })).toEqual(['quoted', 'plain'])
    expect(await found({ q: 'apples', until: '2021-01-01T00:00:00Z' })).toEqual(['old'])
    expect(await found({ q: 'read', lang: 'en' })).toEqual(['link'])
    expect(await found({ q: 'read', lang: 'de' })).toEqual([])
    expect(await found({ tag: ['FRUIT'] })).toEqual(['hidden', 'tagged'])
    expect(await found({ mentions: author.did })).toEqual(['mention'])
    expect(await found({ domain: 'example.com' })).toEqual(['link'])
    expect(await found({ domain: 'ample.com' })).toEqual([])
    expect(await found({ url: 'https://www.example.com/a?b=c' })).toEqual(['link'])
    expect(await found({ q: 'x', author: 'nobody.test' })).toEqual([])
  })

  it('reads the search syntax', async () => {
    expect(await found({ q: `from:@${other.handle} apples` })).toEqual(['quoted'])
    expect(await found({ q: 'from:me apples since:2021-01-01' })).toEqual(['plain'])
    expect(await found({ q: `mentions:${author.handle}` })).toEqual(['mention'])
    expect(await found({ q: '#fruit' })).toEqual(['hidden', 'tagged'])
    expect(await found({ q: 'lang:de grüne' })).toEqual(['german'])
    expect(await found({ q: 'domain:example.com until:2099-01-01' })).toEqual(['link'])
  })

  it('refuses a query with nothing to search for, and times that are none', async () => {
    for (const params of [{ q: '' }, { q: '""' }, { q: '* ! "' }, { q: 'a', since: 'soon' }]) {
      const { status, error } = await world.get('app.bsky.feed.searchPosts', params)
      expect([params, status, error]).toEqual([params, 400, 'BadQueryString'])
    }
  })

  it('takes no word for an operator of the full-text engine', async () => {
    const queries = [
      'apples OR bananas',
      'NOT apples',
      'text:apples',
      'apples*)',
      '(apples',
      '^apples',
      'a"b',
      '-apples',
      'NEAR(apples green)',
      '{text}: apples',
      "apples'; DROP TABLE post;--",
      'x'.repeat(5_000),
      '\u0000',
      '🍎',
    ]
    for (const q of queries) {
      const { status } = await world.get('app.bsky.feed.searchPosts', { q })
      expect([q, status === 200 || status === 400]).toEqual([q, true])
    }
    expect(await found({ q: 'apples' })).toHaveLength(3)
  })

  it('forgets deleted posts and hides those of hidden or blocked accounts', async () => {
    const post = await world.post(other, 'ephemeral mangosteen')
    posts['ephemeral'] = post
    expect(await found({ q: 'mangosteen' })).toEqual(['ephemeral'])
    const block = await world.block(other, author)
    expect(await found({ q: 'mangosteen' })).toEqual([])
    await world.delete(other, block)
    await world.setStatus(other, false, 'deactivated')
    expect(await found({ q: 'mangosteen' })).toEqual([])
    await world.setStatus(other, true)
    await world.delete(other, post)
    expect(await found({ q: 'mangosteen' })).toEqual([])
  })
})

it('checked the answers of this file', () => {
  expect(world.checked).toBeGreaterThan(60)
})
