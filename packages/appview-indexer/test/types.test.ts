import { expect, expectTypeOf, it } from 'vitest'
import { boolean, collection, datetime, did, text, uri } from '../src/index.ts'
import type { Indexer, Row, ColumnsOf } from '../src/index.ts'

const post = collection('app.bsky.feed.post', {
  columns: {
    text: text('text', { required: true }),
    createdAt: datetime('createdAt'),
    parent: uri('reply.parent'),
    isReply: boolean((record) => record['reply'] !== undefined),
  },
  counters: { replyCount: 'parent', postsCount: { on: 'did', where: (row) => row.text !== '' } },
  notify: (row) =>
    row.parent === undefined
      ? []
      : [{ recipient: 'did:x:y', reason: 'reply', subject: row.parent }],
  search: ['text'],
  indexes: [['did', '-sortAt']],
})
const follow = collection('app.bsky.graph.follow', {
  layout: 'edge',
  columns: { subject: did('subject', { required: true }) },
  unique: ['subject'],
  counters: { followersCount: 'subject', followsCount: 'did' },
})
const collections = { post, follow }

it('types rows from declarations', () => {
  type PostRow = Row<ColumnsOf<typeof post>>
  expectTypeOf<PostRow['text']>().toEqualTypeOf<string>()
  expectTypeOf<PostRow['parent']>().toEqualTypeOf<string | undefined>()
  expectTypeOf<PostRow['createdAt']>().toEqualTypeOf<number | undefined>()
  type I = Indexer<typeof collections>
  const query = (index: I) =>
    index
      .select('follow')
      .where({ subject: ['did:a:b'] })
      .orderBy('sortAt')
  expectTypeOf<Awaited<ReturnType<ReturnType<typeof query>['first']>>>().toEqualTypeOf<
    Row<ColumnsOf<typeof follow>> | undefined
  >()
  expect(post.nsid).toBe('app.bsky.feed.post')
})
