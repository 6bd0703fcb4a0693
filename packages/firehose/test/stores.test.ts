import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openFileCursorStore } from '../src/file-cursor-store.ts'
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

describe('openFileCursorStore', () => {
  const inFolder = async (work: (path: string, folder: string) => Promise<void>) => {
    const folder = await mkdtemp(join(tmpdir(), 'skywright-'))
    try {
      await work(join(folder, 'cursors.json'), folder)
    } finally {
      await rm(folder, { recursive: true })
    }
  }

  it('keeps one cursor for each source, in one whole file', async () => {
    await inFolder(async (path, folder) => {
      const store = await openFileCursorStore({ path })
      expect(await store.get('a')).toBeUndefined()
      await Promise.all(Array.from({ length: 50 }, (_, i) => store.set('a', i)))
      await store.set('__proto__', 2 ** 53 - 1)
      const again = await openFileCursorStore({ path })
      expect(await again.get('a')).toBe(49)
      expect(await again.get('__proto__')).toBe(2 ** 53 - 1)
      expect(await readdir(folder)).toEqual(['cursors.json'])
    })
  })

  it('survives a crash in the middle of writing', async () => {
    await inFolder(async (path) => {
      await (await openFileCursorStore({ path })).set('a', 7)
      await writeFile(`${path}.tmp`, '{"a":')
      const again = await openFileCursorStore({ path })
      expect(await again.get('a')).toBe(7)
      await again.set('a', 8)
      expect(await (await openFileCursorStore({ path })).get('a')).toBe(8)
    })
  })

  it.each(['', '{"a":', '[]', 'null', '{"a":-1}', '{"a":1.5}', '{"a":"1"}', '{"a":1e300}'])(
    'does not take %j for a first start',
    async (text) => {
      await inFolder(async (path) => {
        await writeFile(path, text)
        await expect(openFileCursorStore({ path })).rejects.toMatchObject({ code: 'LogCorrupt' })
      })
    },
  )

  it('goes on after a cursor that is none, and after a write that failed', async () => {
    await inFolder(async (path, folder) => {
      const store = await openFileCursorStore({ path })
      await expect(store.set('a', Number.NaN)).rejects.toThrow(RangeError)
      await rm(folder, { recursive: true })
      await expect(store.set('a', 1)).rejects.toMatchObject({ code: 'ENOENT' })
      await (await import('node:fs/promises')).mkdir(folder)
      await store.set('b', 2)
      expect(await (await openFileCursorStore({ path })).get('b')).toBe(2)
    })
  })
})

describe('openSqliteChainStore', () => {
  it('remembers from flush to flush who is inactive', () => {
    const database = new DatabaseSync(':memory:')
    const store = openSqliteChainStore({ database })
    store.setInactive('did:a', true)
    store.setInactive('did:b', true)
    store.setInactive('did:b', false)
    expect([store.isInactive('did:a'), store.isInactive('did:b')]).toEqual([true, false])
    expect(openSqliteChainStore({ database }).isInactive('did:a')).toBe(false)
    store.flush()
    const again = openSqliteChainStore({ database })
    expect([again.isInactive('did:a'), again.isInactive('did:b')]).toEqual([true, false])
    again.setInactive('did:a', false)
    again.flush()
    expect(openSqliteChainStore({ database }).isInactive('did:a')).toBe(false)
  })

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
