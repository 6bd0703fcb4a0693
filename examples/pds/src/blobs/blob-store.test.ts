import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openBlobStore, type BlobStore } from './blob-store.ts'

let directory: string
let database: DatabaseSync
let blobs: BlobStore

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'blob-store-'))
  database = new DatabaseSync(':memory:')
  blobs = openBlobStore({
    database,
    directory,
    maxBytes: 1_000,
    isReferenced: async () => false,
    now: () => 1_000,
  })
})
afterEach(() => {
  database.close()
  rmSync(directory, { recursive: true })
})

async function upload(bytes: Uint8Array): Promise<string> {
  const { cid } = await blobs.upload({
    did: 'did:plc:alice',
    accountId: 7,
    body: (async function* () {
      yield bytes
    })(),
    declaredType: undefined,
    declaredBytes: undefined,
  })
  return cid.toString()
}

async function collect(stream: AsyncIterable<Uint8Array> | undefined): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of stream ?? []) chunks.push(chunk)
  return Buffer.concat(chunks)
}

describe('read', () => {
  it('gives the bytes', async () => {
    const cid = await upload(Uint8Array.of(1, 2, 3))
    const read = await blobs.read(7, cid)
    expect(await collect(read)).toEqual(Buffer.of(1, 2, 3))
    expect(await blobs.read(8, cid)).toBeUndefined()
  })

  it('holds no file open for a stream that nobody reads', async () => {
    const cid = await upload(Uint8Array.of(1, 2, 3))
    const unread = await blobs.read(7, cid)
    // Time enough for a file to be opened that should not be.
    for (let i = 0; i < 10; i++) await readdir(directory)
    blobs.remove('did:plc:alice', 7, cid)
    await expect(collect(unread)).rejects.toMatchObject({ code: 'ENOENT' })
  })
})

describe('removeStrayFiles', () => {
  it('removes files without a row and passes over what is no folder', async () => {
    const cid = await upload(Uint8Array.of(1, 2, 3))
    writeFileSync(join(directory, '7', 'stray'), 'x')
    writeFileSync(join(directory, 'incoming', 'cut-off'), 'x')
    writeFileSync(join(directory, '.DS_Store'), 'x')
    expect(await blobs.removeStrayFiles(Date.now() + 1_000)).toBe(2)
    expect(readdirSync(join(directory, '7'))).toEqual([cid])
  })
})
