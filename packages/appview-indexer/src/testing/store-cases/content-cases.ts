import assert from 'node:assert/strict'

import { collection } from '../../collection.ts'
import { text } from '../../column.ts'
import type { IndexLabel } from '../../event.ts'
import type { Indexer, IndexIssue } from '../../indexer.ts'
import { openIndexer } from '../../open-indexer.ts'
import { createFakeNetwork } from '../fake-network.ts'
import type { FakeWrite } from '../fake-network.ts'
import { declare, NOTE, openOn, play } from './history.ts'
import type { StoreCase } from './store-case.ts'

/** What records and labels may hold. */
export const contentCases: readonly StoreCase[] = [
  [
    'keeps the newest label of each statement, and its text',
    async (database) => {
      const network = play()
      const [{ did: author } = network.account()] = network.accounts
      const uri = `at://${author}/${NOTE}/root`
      const src = 'did:plc:labeler'
      const label = (
        val: string,
        cts: string,
        more: Pick<Partial<IndexLabel>, 'neg' | 'cid' | 'exp'> = {},
      ): IndexLabel => {
        const { neg = false, cid, exp } = more
        const about = cid === undefined ? {} : { cid }
        const until = exp === undefined ? {} : { exp }
        return { ver: 1, src, uri, val, neg, cts, sig: new Uint8Array(64), ...about, ...until }
      }
      await using index = await openOn(database, network)
      await index.run(network.source())
      const [early, late] = ['2026-01-01T00:00:00Z', '2026-01-02T00:00:00Z'] as const
      const batches = [
        [label('a', late), label('b', early), label('b', late, { neg: true })],
        [label('a', early, { neg: true }), label('b', early), label('c', early, { cid: 'x' })],
        [
          label('d', early, { exp: '2025-06-01T00:00:00Z' }),
          label("%_'", early),
          label('!takedown', early),
        ],
      ]
      for (const [at, labels] of batches.entries())
        await index.apply([{ type: 'labels', seq: at + 1, labels }], {
          source: 'labels:did:plc:labeler',
        })
      const accepted = await index.acceptLabelers('did:plc:labeler;redact')
      assert.equal(accepted.header, 'did:plc:labeler;redact')
      const found = (await index.labels([{ uri, cid: 'y' }, author], accepted)).get(uri)
      assert.deepEqual(
        found?.labels.map(({ val }) => val),
        ['!takedown', "%_'", 'a'],
      )
      assert.equal(found?.redacted, true)
      const all = await index.select('note').count()
      assert.equal(await index.select('note').withoutRedacted(accepted).count(), all - 1)
      const stars = index.select('star').withoutRedacted(accepted)
      assert.equal((await stars.page()).rows.length, await index.select('star').count())
    },
  ],
  [
    'keeps refused records up to a bound, of each account and of all, and fetches the rest when they are tried again',
    async (database) => {
      const network = createFakeNetwork()
      const [mallory, alice, bob, carol] = [1, 2, 3, 4].map(() => network.account())
      if (!mallory || !alice || !bob || !carol) throw new TypeError('no accounts')
      const flood = (title: string, count: number): FakeWrite[] =>
        Array.from({ length: count }, () => ({ collection: NOTE, record: { title } }))
      for (let n = 0; n < 6; n++) mallory.commit(...flood('bad', 200))
      alice.commit(...flood('bad', 3))
      for (let n = 0; n < 20; n++) bob.commit(...flood('b'.repeat(900_000), 1))
      carol.commit(...flood('bad', 4))
      let refusing = true
      const issues: IndexIssue[] = []
      const note = collection(NOTE, {
        columns: { title: text('title') },
        validate: () => (refusing ? 'not now' : undefined),
      })
      const open = (total: number): Promise<Indexer<{ note: typeof note }>> =>
        openIndexer({
          store: database.open(),
          collections: { note },
          now: () => network.now(),
          fetchRepo: network.fetchRepo,
          deadLetterLimits: { total },
          onIssue: (issue) => issues.push(issue),
        })
      const kept = 1_000 + 3 + 18 + 1
      {
        await using index = await open(kept)
        for (const event of network.events) await index.apply([event])
        const status = await index.status()
        assert.equal(status.deadLetters, kept)
        assert.equal(status.deadLettersDropped, 200 + 2 + 3)
      }
      const told = issues.filter((issue) => issue.kind === 'dead-letter')
      assert.equal(told.length, 1_227)
      assert.equal(told.filter((issue) => !issue.kept).length, 205)
      await using index = await open(kept)
      // What is kept stays kept when it is refused again, and what was dropped is counted again.
      assert.deepEqual(await index.retryDeadLetters(), { indexed: 0, failed: kept, queued: 3 })
      assert.equal((await index.status()).deadLetters, kept)
      await index.backfill({ repos: [] })
      assert.equal((await index.status()).deadLettersDropped, 205)
      refusing = false
      assert.deepEqual(await index.retryDeadLetters(), { indexed: kept, failed: 0, queued: 3 })
      await index.backfill({ repos: [] })
      assert.equal(await index.select('note').count(), 1_227)
      const { deadLetters, deadLettersDropped } = await index.status()
      assert.deepEqual([deadLetters, deadLettersDropped], [0, 0])
    },
  ],
  [
    'orders record keys by their bytes, up to 512 characters',
    async (database) => {
      const network = createFakeNetwork()
      const alice = network.account()
      const target = `at://${alice.did}/${NOTE}/t`
      const rkeys = ['Z', 'a', '-', '_', '~', '0', 'A', ':', `a${'b'.repeat(511)}`, 'a.b', 'aB']
      for (const rkey of rkeys) alice.create(NOTE, { title: rkey, parent: target }, rkey)
      await using index = await openOn(database, network)
      await index.apply(network.events)
      const seen: string[] = []
      for (let cursor: string | undefined; ;) {
        const page = await index.backlinks({
          target,
          from: 'note',
          path: 'parent',
          limit: 3,
          cursor,
        })
        seen.push(...page.rows.map(({ rkey }) => rkey))
        cursor = page.cursor
        if (cursor === undefined) break
      }
      assert.deepEqual(seen, rkeys.toSorted())
      const sorted = await index.select('note').orderBy('title').page()
      assert.deepEqual(
        sorted.rows.map(({ title }) => title),
        rkeys.toSorted(),
      )
      assert.equal(
        (await index.get('note', `at://${alice.did}/${NOTE}/${rkeys[8]}`))?.cid?.[0],
        'b',
      )
    },
  ],
  [
    'keeps texts no database likes: U+0000, half characters, long words, quotes, much of it',
    async (database) => {
      const network = createFakeNetwork()
      const alice = network.account()
      const titles = ['a\u0000b', `'"\\ {}[],NULL`, '%_', '\u{10FFFF}é', '-- \n\t', '?', '']
      titles.forEach((title, n) => alice.create(NOTE, { title }, `t${n}`))
      alice.create(NOTE, { title: 'x', ['\u0000key']: `at://${alice.did}/${NOTE}/t0` }, 'path')
      alice.create(NOTE, { title: 'y'.repeat(1_001) }, 'long')
      alice.create(NOTE, { title: 'ok', more: 'z'.repeat(900_000) }, 'big')
      const garbage = new Uint8Array([0xff, 0x00, 0x01])
      alice.create(NOTE, { title: 'before' }, 'bytes')
      await using index = await openIndexer({
        store: database.open(),
        collections: declare(),
        now: () => Date.UTC(2040, 0),
      })
      await index.apply([
        ...network.events,
        {
          type: 'commit',
          seq: 99,
          did: alice.did,
          rev: '3mzzzzzzzzzzz',
          ...(alice.rev === undefined ? {} : { since: alice.rev }),
          ops: ['bytes', 'nul\u0000key', 'k'.repeat(5_000)].map((rkey) => ({
            action: 'update' as const,
            collection: NOTE,
            rkey,
            cid: new Uint8Array(36),
            record: garbage,
          })),
        },
      ])
      for (const [n, title] of titles.entries())
        assert.equal(
          (await index.get('note', `at://${alice.did}/${NOTE}/t${n}`))?.title,
          title.replaceAll('\u0000', '\uFFFD'),
        )
      assert.equal((await index.select('note').where({ title: titles[1] }).page()).rows.length, 1)
      const letters = await index.deadLetters()
      assert.equal(letters.length, 4)
      assert.deepEqual(
        letters.filter(({ bytes }) => bytes.length === 3).map(({ bytes }) => [...bytes]),
        [[...garbage], [...garbage], [...garbage]],
      )
      assert.deepEqual(await index.retryDeadLetters(), { indexed: 0, failed: 4, queued: 0 })
      assert.deepEqual(await index.audit(), [])
    },
  ],
]
