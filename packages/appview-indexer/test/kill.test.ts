import { expect, it } from 'vitest'

import { placeInFile } from './kill-place.ts'
import { killRepeatedly } from './kill-repeatedly.ts'

it.each(['live', 'backfill'] as const)(
  'ends in the state of an undisturbed run after kill -9, %s',
  async (mode) => {
    expect(await killRepeatedly(placeInFile, mode, 8)).toBe(8)
  },
  240_000,
)
