import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Account, World } from './world.ts'

let world: World
beforeAll(async () => {
  world = await World.start()
})
afterAll(() => world[Symbol.asyncDispose]())

const LIST = 'app.bsky.notification.listNotifications'

describe('listNotifications', () => {
  it('tells of every reason once, newest first, page by page', async () => {
    const me = await world.account('me')
    const you = await world.account('you')
    const mine = await world.post(me, 'mine')
    const follow = await world.follow(you, me)
    const like = await world.like(you, mine)
    const repost = await world.repost(you, mine)
    const reply = await world.reply(you, 'hm', mine)
    const quote = await world.post(you, 'see', {
      embed: { $type: 'app.bsky.embed.record', record: mine },
    })
    const mention = await world.post(you, '@me', {
      facets: [
        {
          index: { byteStart: 0, byteEnd: 3 },
          features: [{ $type: 'app.bsky.richtext.facet#mention', did: me.did }],
        },
      ],
    })
    // What one does to oneself is no news.
    await world.like(me, mine)
    await world.reply(me, 'to myself', mine)
    const expected = [
      ['mention', mention],
      ['quote', quote],
      ['reply', reply],
      ['repost', repost],
      ['like', like],
      ['follow', follow],
    ].map(([reason, ref]) => [reason, (ref as { uri: string }).uri])
    for (const limit of [1, 4, 50]) {
      const seen: unknown[] = []
      let cursor: string | undefined
      do {
        const page = { limit, ...(cursor === undefined ? {} : { cursor }) }
        const { body } = await world.get(LIST, page, me)
        seen.push(...body.notifications.map(({ reason, uri }) => [reason, uri]))
        cursor = body.cursor
      } while (cursor !== undefined)
      expect(seen).toEqual(expected)
    }
    const { body } = await world.get(LIST, { reasons: ['like', 'reply'] }, me)
    expect(body.notifications).toMatchObject([
      { reason: 'reply', reasonSubject: mine.uri, record: { text: 'hm' }, cid: reply.cid },
      { reason: 'like', reasonSubject: mine.uri, author: { did: you.did }, isRead: false },
    ])
    const seenAt = new Date(Date.now() + 1_000).toISOString()
    const read = await world.get(LIST, { seenAt }, me)
    expect(read.body.notifications.every(({ isRead }) => isRead)).toBe(true)
  })

  it('takes back what was taken back, and hides what is hidden or blocked', async () => {
    const me = await world.account('quiet')
    const [a, b, c] = (await Promise.all(['aa', 'bb', 'cc'].map((n) => world.account(n)))) as [
      Account,
      Account,
      Account,
    ]
    const mine = await world.post(me, 'mine')
    const like = await world.like(a, mine)
    await world.like(b, mine)
    await world.like(c, mine)
    await world.follow(a, me)
    const authors = async (): Promise<string[]> => {
      const { body } = await world.get(LIST, {}, me)
      return body.notifications.map(({ reason, author }) => `${reason} ${author.handle}`).toSorted()
    }
    expect(await authors()).toHaveLength(4)
    await world.delete(a, like)
    await world.block(me, b)
    await world.setStatus(c, false, 'takendown')
    expect(await authors()).toEqual(['follow aa.test'])
    await world.setStatus(c, true)
    expect(await authors()).toEqual(['follow aa.test', 'like cc.test'])
    await world.delete(me, mine)
    expect(await authors()).toEqual(['follow aa.test'])
  })

  it('needs an account', async () => {
    expect((await world.get(LIST)).status).toBe(401)
  })
})

it('checked the answers of this file', () => {
  expect(world.checked).toBeGreaterThan(10)
})
