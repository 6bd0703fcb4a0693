import { describe, expect, it } from 'vitest'

import {
  createMemoryRepoStore,
  importRepo,
  RepoError,
  verifyRepo,
  verifyRepoSync,
} from '../src/index.ts'
import { createTestKey, REPO_DEFECTS } from '../src/testing/index.ts'

const did = 'did:web:alice.example.com'
const key = createTestKey()

function codeOf(error: unknown): string {
  if (error instanceof RepoError) return error.code
  throw error
}

describe('strict verification of a repo', () => {
  it('is tried with every kind of defect', () => {
    expect(REPO_DEFECTS.length).toBeGreaterThanOrEqual(60)
    expect(new Set(REPO_DEFECTS.map(({ name }) => name)).size).toBe(REPO_DEFECTS.length)
  })

  it.each(REPO_DEFECTS)('$name: $defect', async ({ build, expected }) => {
    const car = await build({ did, signer: key })
    const pieces = [car.subarray(0, 70), car.subarray(70)]
    const outcomes = [
      await verifyRepo(pieces, { did, key }).then(() => undefined, codeOf),
      (() => {
        try {
          verifyRepoSync(car, { did, key })
          return undefined
        } catch (error) {
          return codeOf(error)
        }
      })(),
    ]
    expect(outcomes).toEqual([expected, expected])
    const store = createMemoryRepoStore()
    const imported = await importRepo(store, car, { did, signer: key, key }).then(
      () => undefined,
      codeOf,
    )
    expect(imported).toBe(expected)
    expect((await store.listHeads()).length).toBe(expected === undefined ? 1 : 0)
  })
})
