import { describe, expect, it } from 'vitest'

import { compareTrees } from './support/compare-trees.ts'

describe('the tree against @atproto/repo', () => {
  it('has the same roots, diffs and covering proofs over 300 random trees', async () => {
    expect(await compareTrees(300, 11)).toBeGreaterThan(600)
  })
})
