import { describe, expect, it } from 'vitest'
import { parseCid } from './cid.ts'
import { InvalidOpsError, ProofIncompleteError } from './errors.ts'
import { findNeighbours } from './neighbours.ts'
import { Repo } from './repo.ts'
import { createMemoryRepoStore } from './stores/memory.ts'

const did = 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa'
const signer = { sign: (): Uint8Array => new Uint8Array(64) }

function records(paths: readonly string[]): Parameters<Repo['applyWrites']>[0] {
  return paths.map((path) => {
    const [collection = '', rkey = ''] = path.split('/')
    return { action: 'create' as const, collection, rkey, record: { $type: collection, path } }
  })
}

describe('findNeighbours', () => {
  it('gives the records around every gap, in slices of real commits', async () => {
    const { repo } = await Repo.create(createMemoryRepoStore(), { did, signer })
    const paths = Array.from(
      { length: 300 },
      (_, i) => `com.example.c${String(i % 7)}/k${String((i * 7919) % 10_007).padStart(5, '0')}`,
    ).toSorted()
    for (let i = 0; i < paths.length; i += 100) {
      await repo.applyWrites(records(paths.slice(i, i + 100)))
    }
    const left = [...paths]
    let checked = 0
    while (left.length > 0) {
      const index = (checked * 31) % left.length
      const [path = ''] = left.splice(index, 1)
      const [collection = '', rkey = ''] = path.split('/')
      const { commit } = await repo.applyWrites([{ action: 'delete', collection, rkey }])
      if (commit === undefined) throw new Error('nothing was deleted')
      expect(findNeighbours(commit.blocks, commit.data, [path])).toEqual([
        { path, before: left[index - 1], behind: left[index] },
      ])
      checked++
    }
    expect(checked).toBe(300)
  })

  it('gives several gaps of one commit', async () => {
    const { repo } = await Repo.create(createMemoryRepoStore(), { did, signer })
    await repo.applyWrites(records(['a.b.c/1', 'a.b.d/1', 'a.b.d/2', 'a.b.e/1']))
    const { commit } = await repo.applyWrites([
      { action: 'delete', collection: 'a.b.d', rkey: '1' },
      { action: 'delete', collection: 'a.b.d', rkey: '2' },
    ])
    if (commit === undefined) throw new Error('nothing was deleted')
    expect(findNeighbours(commit.blocks, commit.data, ['a.b.d/1', 'a.b.d/2'])).toEqual([
      { path: 'a.b.d/1', before: 'a.b.c/1', behind: 'a.b.e/1' },
      { path: 'a.b.d/2', before: 'a.b.c/1', behind: 'a.b.e/1' },
    ])
  })

  it('refuses a path that is there, and says when the slice does not reach', async () => {
    const { repo } = await Repo.create(createMemoryRepoStore(), { did, signer })
    const { commit } = await repo.applyWrites(records(['a.b.c/1']))
    if (commit === undefined) throw new Error('nothing was written')
    expect(() => findNeighbours(commit.blocks, commit.data, ['a.b.c/1'])).toThrow(InvalidOpsError)
    const elsewhere = parseCid('bafyreie5737gdxlw5i64vzichcalba3z2v5n6icifvx5xytvske7mr3hpm')
    expect(() => findNeighbours(commit.blocks, elsewhere, ['a.b.c/1'])).toThrow(
      ProofIncompleteError,
    )
  })
})
