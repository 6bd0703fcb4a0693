import { collection, didOf, integer, text, uri } from '../src/index.ts'
import type { AnyCollection, Columns, DeriveDeclaration } from '../src/index.ts'
import { createFakeNetwork } from '../src/testing/index.ts'
import type { FakeNetwork } from '../src/testing/index.ts'
import { NSID, strongRef } from './social.ts'

/** Enough posts and likes for a rebuild of several transactions. */
export function rebuildHistory(): FakeNetwork {
  const network = createFakeNetwork()
  const accounts = Array.from({ length: 9 }, () => network.account())
  const posts: string[] = []
  for (let n = 0; n < 2_600; n++) {
    const account = accounts[n % accounts.length]!
    const parent = posts[Math.floor(n * ((n * 0.618) % 1))]
    const reply = parent === undefined ? {} : { reply: { parent: strongRef(parent) } }
    posts.push(account.create(NSID.POST, { text: `post ${n % 50}`, length: n % 300, ...reply }))
    if (parent !== undefined && n % 2 === 0)
      account.create(NSID.LIKE, { subject: strongRef(parent) })
  }
  accounts[4]!.setStatus(false, 'takendown')
  return network
}

/** How many counting posts say a text, in a table of one's own. */
function wordTable(weight: number): DeriveDeclaration<Columns> {
  const add: DeriveDeclaration<Columns>['added'] = (row, sql, own) => {
    sql(
      `INSERT INTO ${own('said')} AS s VALUES (?, ?) ON CONFLICT (text) DO UPDATE SET n = s.n + excluded.n`,
      [String(row.record?.['text']), weight],
    )
  }
  return {
    tables: { said: 'text TEXT PRIMARY KEY, n INTEGER NOT NULL' },
    indexes: { said: ['n DESC'] },
    added: add,
    removed: (row, sql, own) => {
      sql(`UPDATE ${own('said')} SET n = n - ? WHERE text = ?`, [
        weight,
        String(row.record?.['text']),
      ])
    },
  }
}

const parent = uri('reply.parent')
const subject = uri('subject', { required: true })
const like = { layout: 'edge', columns: { subject } } as const

/** What the history is indexed by at first. */
export function firstCollections(): Record<'post' | 'like', AnyCollection> {
  return {
    post: collection(NSID.POST, {
      columns: { text: text('text'), parent },
      counters: { posts: 'did', replies: 'parent' },
      notify: (row) => {
        const recipient = didOf(row.parent)
        return recipient === undefined ? [] : [{ recipient, reason: 'reply', subject: row.parent }]
      },
      search: ['text'],
      derive: wordTable(1),
      indexes: [['did', '-sortAt']],
    }),
    like: collection(NSID.LIKE, { ...like, counters: { likes: 'subject' } }),
  }
}

/** The same with other columns, counters and reasons; long posts are refused now. Edges are derived from their columns. */
export function changedCollections(): Record<'post' | 'like', AnyCollection> {
  return {
    post: collection(NSID.POST, {
      version: 2,
      columns: { words: text('text', { index: true }), length: integer('length'), parent },
      validate: (record) => (Number(record['length']) > 250 ? 'too long' : undefined),
      counters: { posts: 'did', answers: { on: 'parent', where: (row) => row.length !== 0 } },
      notify: (row) => {
        const recipient = didOf(row.parent)
        return recipient === undefined ? [] : [{ recipient, reason: 'answer' }]
      },
      search: ['words'],
      derive: wordTable(5),
      indexes: [['did', '-sortAt']],
    }),
    like: collection(NSID.LIKE, {
      ...like,
      unique: ['subject'],
      counters: { hearts: 'subject', hearted: 'did' },
      notify: (row) => [{ recipient: didOf(row.subject) ?? row.did, reason: 'like' }],
    }),
  }
}
