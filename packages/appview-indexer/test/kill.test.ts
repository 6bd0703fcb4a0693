import { expect, it } from 'vitest'

import { killRepeatedly } from './kill-repeatedly.ts'

it.each(['live', 'backfill'] as const)(
  'ends in the state of an undisturbed run after kill -9, %s',
  async (mode) => {
    expect(await killRepeatedly(mode, 8)).toBe(8)
  },
  120_000,
)
