import { collection } from '../../collection.ts'
import type { CollectionDeclaration } from '../../collection.ts'
import { did, integer, text, uri } from '../../column.ts'
import type { Column } from '../../column.ts'
import type { Indexer } from '../../indexer.ts'
import { openIndexer } from '../../open-indexer.ts'
import { didOf } from '../../target.ts'
import { createFakeNetwork } from '../fake-network.ts'
import type { FakeNetwork } from '../fake-network.ts'
import type { TestDatabase } from './store-case.ts'

export const NOTE = 'com.example.note'
export const STAR = 'com.example.star'
export const FOLLOW = 'com.example.follow'
export const SEAL = 'com.example.seal'

export type Collections = {
  readonly note: CollectionDeclaration<{
    readonly title: Column<string | undefined>
    readonly size: Column<number | undefined>
    readonly parent: Column<string | undefined>
  }>
  readonly star: CollectionDeclaration<{ readonly note: Column<string> }>
  readonly follow: CollectionDeclaration<{ readonly subject: Column<string> }>
  readonly seal: CollectionDeclaration<Record<never, never>>
}

/** Every facet of a declaration: both layouts, two kinds of uniqueness, a gate, search, own tables. */
export function declare(version = 1): Collections {
  return {
    note: collection(NOTE, {
      version,
      columns: {
        title: text('title', { index: true }),
        size: integer('size'),
        parent: uri('parent'),
      },
      counters: { notes: 'did', answers: { on: 'parent', where: (row) => row.size !== 0 } },
      notify: (row) => {
        const recipient = didOf(row.parent)
        return recipient === undefined ? [] : [{ recipient, reason: 'answer', subject: row.parent }]
      },
      gate: {
        dependsOn: ['seal', 'follow'],
        allow: (row, lookup) => {
          const owner = didOf(row.parent)
          if (row.parent === undefined || owner === undefined) return true
          if (lookup.record(row.parent.replace(NOTE, SEAL)) === undefined) return true
          return lookup.linked({ from: 'follow', path: 'subject', did: owner, to: row.did })
        },
      },
      derive: {
        tables: { title_length: 'title TEXT PRIMARY KEY, n INTEGER NOT NULL' },
        indexes: { title_length: ['n, title'] },
        added: (row, sql, own) => {
          sql(
            `INSERT INTO ${own('title_length')} AS t VALUES (?, ?) ON CONFLICT (title) DO UPDATE SET n = t.n + 1`,
            [row.title ?? '', 1],
          )
        },
        removed: (row, sql, own) => {
          sql(`UPDATE ${own('title_length')} SET n = n - 1 WHERE title = ?`, [row.title ?? ''])
        },
      },
      search: ['title'],
      indexes: [['did', '-sortAt']],
    }),
    star: collection(STAR, {
      layout: 'edge',
      columns: { note: uri('note', { required: true }) },
      unique: ['note'],
      counters: { stars: 'note' },
    }),
    follow: collection(FOLLOW, {
      layout: 'edge',
      keepRecord: true,
      columns: { subject: did('subject', { required: true }) },
      unique: ['subject'],
      counters: { followers: 'subject' },
    }),
    seal: collection(SEAL, { links: false }),
  }
}

export async function openOn(
  database: TestDatabase,
  network: FakeNetwork,
  version = 1,
): Promise<Indexer<Collections>> {
  return openIndexer({
    store: database.open(),
    collections: declare(version),
    now: () => network.now(),
    fetchRepo: network.fetchRepo,
  })
}

/** A history that meets every facet, the same each time. */
export function play(): FakeNetwork {
  const network = createFakeNetwork()
  const [alice, bob, carol] = [network.account(), network.account(), network.account()]
  const root = alice.create(NOTE, { title: 'The Root', createdAt: '2025-06-01T00:00:00Z' }, 'root')
  for (let n = 0; n < 30; n++) {
    const author = [alice, bob, carol][n % 3] ?? alice
    const createdAt = new Date(Date.UTC(2025, 6, 1, 0, Math.floor(n / 2))).toISOString()
    author.create(NOTE, { title: `note ${n}`, size: n % 4, parent: root, createdAt }, `n${n}`)
    author.create(STAR, { note: `at://${alice.did}/${NOTE}/n${n % 9}`, n }, `s${n}`)
  }
  alice.create(SEAL, {}, 'root')
  alice.create(FOLLOW, { subject: bob.did }, 'f')
  bob.delete(`at://${bob.did}/${NOTE}/n4`)
  bob.delete(`at://${bob.did}/${STAR}/s1`)
  carol.update(`at://${carol.did}/${NOTE}/n5`, { title: 'edited', parent: root })
  carol.create(STAR, { note: 7 }, 'dead')
  const gone = network.account()
  gone.create(STAR, { note: root })
  gone.setStatus(false, 'deleted')
  const hidden = network.account()
  hidden.create(STAR, { note: root })
  hidden.create(NOTE, { title: 'hidden' })
  hidden.setStatus(false, 'suspended')
  return network
}

/** Digest of {@link play}, the same on every store. */
export const STATE_HASH = '88fb40406179c8ad8ee54eb9f1cd45cbdf88f44fdd89385c476156b46d0b1bae'
