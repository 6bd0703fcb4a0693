import assert from 'node:assert/strict'

import { createFakeNetwork } from '../fake-network.ts'
import { NOTE, openOn, play, STAR } from './history.ts'
import type { StoreCase } from './store-case.ts'

/** What queries answer. */
export const queryCases: readonly StoreCase[] = [
  [
    'pages every order without gap or double, and time lines too',
    async (database) => {
      const network = play()
      await using index = await openOn(database, network)
      await index.run(network.source())
      await index.settle()
      const total = await index.select('note').count()
      for (const [column, direction] of [
        ['sortAt', 'desc'],
        ['sortAt', 'asc'],
        ['title', 'desc'],
        ['indexedAt', 'asc'],
      ] as const) {
        const seen = new Set<string>()
        let cursor: string | undefined
        do {
          const page = await index
            .select('note')
            .orderBy(column, direction)
            .page({ limit: 4, cursor })
          for (const row of page.rows) {
            assert.equal(seen.has(row.uri), false)
            seen.add(row.uri)
          }
          cursor = page.cursor
        } while (cursor !== undefined)
        assert.equal(seen.size, total)
      }
      const authors = network.accounts.map((account) => account.did)
      const seen: string[] = []
      let cursor: string | undefined
      do {
        const page = await index.timeline({ from: ['note'], authors, limit: 5, cursor })
        seen.push(...page.rows.map(({ row }) => row.uri))
        cursor = page.cursor
      } while (cursor !== undefined)
      assert.equal(new Set(seen).size, total)
      assert.equal(seen.length, total)
      const [alice = '', bob = ''] = authors
      const inbox: string[] = []
      do {
        const page = await index.notifications(alice, { limit: 2, cursor, reasons: ['answer'] })
        inbox.push(...page.rows.map((row) => row.uri))
        cursor = page.cursor
      } while (cursor !== undefined)
      assert.equal(inbox.length, await index.countNotifications(alice))
      assert.equal(new Set(inbox).size, inbox.length)
      const stars = await index
        .select('star')
        .where({ did: bob, uri: [`at://${bob}/${STAR}/s13`, `at://${bob}/${STAR}/s16`] })
        .page()
      assert.deepEqual(stars.rows.map(({ rkey }) => rkey).toSorted(), ['s13', 's16'])
      const starred = await index
        .select('star')
        .where({ note: `at://${alice}/${NOTE}/n4`, did: bob })
        .page()
      assert.equal(starred.rows.length, 1)
      assert.equal(
        (await index.select('note').where('size', '>=', 2).where('title', '!=', 'x').page()).rows
          .length > 0,
        true,
      )
    },
  ],
  [
    'finds words, phrases and beginnings, without case and accents',
    async (database) => {
      const network = createFakeNetwork()
      const alice = network.account()
      const titles = [
        'Größe der Wörter',
        "don't panic",
        'panic order',
        'order of words',
        '東京 2026',
      ]
      titles.forEach((title, n) => alice.create(NOTE, { title }, `${n}`))
      await using index = await openOn(database, network)
      await index.apply(network.events)
      const find = async (words: string): Promise<string> => {
        const { rows } = await index.select('note').search(words).page()
        return rows
          .map(({ rkey }) => rkey)
          .toSorted()
          .join('')
      }
      const expected = {
        GROSSE: '',
        groSSe: '',
        größe: '0',
        worter: '0',
        panic: '12',
        'pan*': '12',
        '"panic order"': '2',
        '"order panic"': '',
        'panic order': '2',
        "don't": '1',
        東京: '4',
        '2026': '4',
        '"; DROP TABLE note': '',
        "' | 'panic": '12',
        '***': '',
      }
      for (const [words, rkeys] of Object.entries(expected))
        assert.equal(await find(words), rkeys, words)
    },
  ],
]
