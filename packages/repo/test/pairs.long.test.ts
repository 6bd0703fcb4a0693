import { expect, it } from 'vitest'

import { provePairs } from './support/subset-pairs.ts'

it.each([
  { depths: [0, 1, 0, 2, 0, 1, 0], updates: false },
  { depths: [0, 2, 0, 4, 1, 0, 3], updates: true },
  { depths: [1, 0, 3, 0, 0, 2, 4], updates: true },
])(
  'proves every change between two of 128 trees, and misses every block it needs: $depths',
  async (universe) => {
    const counts = await provePairs(universe, 1)
    expect(counts.pairs).toBe(16_384)
    expect(counts.ops).toBeGreaterThan(57_000)
    expect(counts.beyondNew).toBeGreaterThan(1000)
    expect(counts.needed).toBeGreaterThan(80_000)
    expect(counts.spared).toBeGreaterThan(500)
  },
)
