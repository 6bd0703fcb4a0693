import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'

import { collection, integer, openIndexer, text, uri } from '../src/index.ts'
import { openSqliteIndexStore } from '../src/stores/sqlite.ts'
import { createFakeNetwork } from '../src/testing/index.ts'
import { NSID, socialCollections, strongRef } from './social.ts'

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'index-rebuild-'))
})
afterEach(() => {
  rmSync(folder, { recursive: true })
})

it('derives stored documents again when their declaration changes, without the network', async () => {
  const network = createFakeNetwork()
  const [alice, bob] = [network.account(), network.account()]
  const post = alice.create(NSID.POST, { text: 'hello', likes: 7 })
  const bad = alice.create(NSID.POST, { text: 'bad' })
  bob.create(NSID.POST, { text: 'answer', reply: { parent: strongRef(post) } })
  for (let n = 0; n < 50; n++) bob.create(NSID.POST, { text: `n${n}` })
  const path = join(folder, 'index.db')
  const now = (): number => network.now()
  {
    await using index = await openIndexer({
      store: openSqliteIndexStore(path),
      collections: socialCollections(),
      now,
    })
    await index.run(network.source())
    expect((await index.deadLetters()).map(({ uri: letter }) => letter)).toEqual([bad])
  }
  const changed = collection(NSID.POST, {
    columns: { text: text('text'), stars: integer('likes'), parent: uri('reply.parent') },
    counters: { answers: 'parent' },
    search: ['text'],
  })
  const hashes: string[] = []
  // The second run is on a fresh file: the rebuilt one must not differ from it.
  for (const file of [path, join(folder, 'fresh.db')]) {
    await using index = await openIndexer({
      store: openSqliteIndexStore(file),
      collections: { status: changed },
      now,
    })
    await index.run(network.source())
    expect((await index.get('status', post))?.stars).toBe(7)
    expect((await index.get('status', bad))?.text).toBe('bad')
    expect((await index.counts([post])).get(post)).toEqual({ answers: 1 })
    expect((await index.select('status').search('answer').page()).rows).toHaveLength(1)
    expect(await index.select('status').count()).toBe(53)
    expect(await index.deadLetters()).toEqual([])
    expect(await index.audit()).toEqual([])
    hashes.push(await index.stateHash())
  }
  expect(hashes[0]).toBe(hashes[1])
})

it('fetches repos again when rows kept no record, and refuses when it cannot', async () => {
  const network = createFakeNetwork()
  const [alice, bob] = [network.account(), network.account()]
  const post = alice.create(NSID.POST, { text: 'hello' })
  bob.create(NSID.LIKE, { subject: strongRef(post), mood: 'glad' })
  const path = join(folder, 'index.db')
  const now = (): number => network.now()
  {
    await using index = await openIndexer({
      store: openSqliteIndexStore(path),
      collections: { like: socialCollections().like },
      now,
    })
    await index.run(network.source())
  }
  const like = collection(NSID.LIKE, {
    layout: 'edge',
    columns: { subject: uri('subject'), mood: text('mood') },
    counters: { likeCount: 'subject' },
  })
  const store = openSqliteIndexStore(path)
  await expect(openIndexer({ store, collections: { like }, now })).rejects.toMatchObject({
    code: 'SchemaMismatch',
  })
  await store[Symbol.asyncDispose]()
  await using index = await openIndexer({
    store: openSqliteIndexStore(path),
    collections: { like },
    now,
    fetchRepo: network.fetchRepo,
  })
  await index.backfill({ repos: [] })
  expect((await index.select('like').page()).rows.map(({ mood }) => mood)).toEqual(['glad'])
  expect((await index.counts([post])).get(post)).toEqual({ likeCount: 1 })
})
