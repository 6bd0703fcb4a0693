import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import { openSqliteCursorStore } from '../src/sqlite-cursor-store.ts'
import { openSqliteChainStore } from '../src/verify/sqlite-chain-store.ts'

const state = (rev: string) => ({ rev, data: `data-${rev}`, commit: `commit-${rev}` })

describe('openSqliteCursorStore', () => {
  it('keeps one cursor for each source', async () => {
    const database = new DatabaseSync(':memory:')
    await using store = openSqliteCursorStore({ database })
    expect(await store.get('a')).toBeUndefined()
    await store.set('a', 5)
    await store.set('b', 2 ** 53 - 1)
    await store.set('a', 7)
    await using again = openSqliteCursorStore({ database })
    expect(await again.get('a')).toBe(7)
    expect(await again.get('b')).toBe(2 ** 53 - 1)
  })

  it('moves with the transaction of its handler', async () => {
    const database = new DatabaseSync(':memory:')
    await using store = openSqliteCursorStore({ database })
    await store.set('a', 1)
    database.exec('BEGIN')
    store.setInTransaction('a', 2)
    database.exec('ROLLBACK')
    expect(await store.get('a')).toBe(1)
  })
})

describe('openSqliteChainStore', () => {
  it('gives at once what was put, and after a restart what was flushed', () => {
    const database = new DatabaseSync(':memory:')
    const store = openSqliteChainStore({ database })
    store.put('did:a', state('1'))
    store.flush()
    store.put('did:a', state('2'))
    store.put('did:b', state('1'))
    expect(store.get('did:a')).toEqual(state('2'))
    const crashed = openSqliteChainStore({ database })
    expect(crashed.get('did:a')).toEqual(state('1'))
    expect(crashed.get('did:b')).toBeUndefined()
    store.flush()
    expect(openSqliteChainStore({ database }).get('did:b')).toEqual(state('1'))
  })

  it('forgets what was deleted', () => {
    const database = new DatabaseSync(':memory:')
    const store = openSqliteChainStore({ database })
    store.put('did:a', state('1'))
    store.flush()
    store.delete('did:a')
    expect(store.get('did:a')).toBeUndefined()
    store.flush()
    expect(store.get('did:a')).toBeUndefined()
    expect(openSqliteChainStore({ database }).get('did:a')).toBeUndefined()
  })

  it('finds in the database what no longer fits into memory', () => {
    const database = new DatabaseSync(':memory:')
    const store = openSqliteChainStore({ database, maxCached: 3 })
    for (let i = 0; i < 50; i++) store.put(`did:${String(i)}`, state(String(i)))
    store.flush()
    for (let i = 0; i < 50; i++) expect(store.get(`did:${String(i)}`)).toEqual(state(String(i)))
  })
})
