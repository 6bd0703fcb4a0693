import { describe, expect, it } from 'vitest'

import {
  createMemoryRepoStore,
  importRepo,
  readRepo,
  RepoError,
  verifyRepo,
  verifyRepoSync,
} from '../src/index.ts'
import { createTestKey, REPO_DEFECTS } from '../src/testing/index.ts'

const did = 'did:web:alice.example.com'
const key = createTestKey()

async function readAll(car: Uint8Array): Promise<void> {
  const { records } = await readRepo([car.subarray(0, 100), car.subarray(100)], { did, key })
  for await (const { path } of records) expect(path).toContain('/')
}

function codeOf(error: unknown): string {
  if (error instanceof RepoError) return error.code
  throw error
}

describe('strict verification of a repo', () => {
  it('is tried with every kind of defect', () => {
    expect(REPO_DEFECTS.length).toBeGreaterThanOrEqual(60)
    expect(new Set(REPO_DEFECTS.map(({ name }) => name)).size).toBe(REPO_DEFECTS.length)
  })

  it.each(REPO_DEFECTS)('$name: $defect', async ({ name, build, expected }) => {
    const car = await build({ did, signer: key })
    const pieces = [car.subarray(0, 70), car.subarray(70)]
    const outcomes = [
      await verifyRepo(pieces, { did, key }).then(() => undefined, codeOf),
      await readAll(car).then(() => undefined, codeOf),
      (() => {
        try {
          verifyRepoSync(car, { did, key })
          return undefined
        } catch (error) {
          return codeOf(error)
        }
      })(),
    ]
    // A stream has a shared node once, and lets it go once used.
    const streamed = name === 'node-shared' ? 'MissingBlock' : expected
    expect(outcomes).toEqual([expected, streamed, expected])
    const store = createMemoryRepoStore()
    const imported = await importRepo(store, car, { did, signer: key, key }).then(
      () => undefined,
      codeOf,
    )
    expect(imported).toBe(expected)
    expect((await store.listHeads()).length).toBe(expected === undefined ? 1 : 0)
  })
})
