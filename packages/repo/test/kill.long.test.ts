import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { expect, it } from 'vitest'

import { createRandom } from './random.ts'
import { killAndCheck } from './support/kill-and-check.ts'

it('survives 200 kills', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'skywright-kill-'))
  try {
    const random = createRandom(17)
    let kills = 0
    for (let round = 1; round <= 200; round++) {
      const { repos } = await killAndCheck(
        join(folder, 'store.sqlite'),
        round,
        random.integer(1, 40),
      )
      expect(repos).toBeGreaterThan(0)
      kills++
    }
    expect(kills).toBe(200)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}, 3_600_000)
