import { expect, it } from 'vitest'

import { killRepeatedly } from './kill-repeatedly.ts'

it.each(['live', 'backfill'] as const)(
  'ends in the state of an undisturbed run after 500 times kill -9, %s',
  async (mode) => {
    expect(await killRepeatedly(mode, 500)).toBe(500)
  },
  3_600_000,
)
