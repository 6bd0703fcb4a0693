import { expect, it } from 'vitest'

import { provePairs } from './support/subset-pairs.ts'

it('proves every change between two of 128 trees with keyless layers, and misses what is left out', async () => {
  const universe = { depths: [0, 2, 0, 4, 1, 0, 3], updates: true }
  const counts = await provePairs(universe, 17)
  expect([counts.pairs, counts.ops]).toEqual([16_384, 69_632])
  expect(counts.beyondNew).toBeGreaterThan(3000)
  expect(counts.needed).toBeGreaterThan(7000)
}, 120_000)
