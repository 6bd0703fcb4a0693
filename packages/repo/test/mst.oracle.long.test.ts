import { expect, it } from 'vitest'

import { compareTrees } from './support/compare-trees.ts'
import { compareWithAtcute } from './support/compare-with-atcute.ts'

it('agrees with @atproto/repo over 10,000 random trees', async () => {
  let edits = 0
  for (let seed = 1; seed <= 10; seed++) edits += await compareTrees(1000, seed)
  expect(edits).toBeGreaterThan(20_000)
})

it('agrees with @atcute/mst over 3,000 random trees', async () => {
  expect(await compareWithAtcute(3_000, 7)).toBeGreaterThan(75_000)
})
