import { describe, expect, it } from 'vitest'

import { verifyCommit } from '../src/index.ts'
import { hasFixtures, readFrames, readKeys } from './fixtures.ts'

describe.skipIf(!hasFixtures)('the captured relay frames', () => {
  it('verifies all 148 commits, signature and inversion included', () => {
    const keys = readKeys()
    const commits = readFrames().filter(({ type }) => type === '#commit')
    expect(commits.length).toBe(148)
    const actions = { create: 0, update: 0, delete: 0 }
    for (const { body } of commits) {
      const { did, records } = verifyCommit({ ...body, did: body.repo, key: keys.get(body.repo)! })
      expect(did).toBe(body.repo)
      for (const { action } of body.ops) actions[action]++
      expect(records.size).toBe(body.ops.filter(({ cid }) => cid !== null).length)
    }
    expect(actions).toEqual({ create: 144, update: 2, delete: 4 })
  })
})
