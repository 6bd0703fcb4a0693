import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { expect, it } from 'vitest'

import { createRandom } from './random.ts'
import { killAndCheck } from './support/kill-and-check.ts'

it('loses nothing and leaves nothing half-written when the process is killed, 5 times over', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'skywright-kill-'))
  try {
    const random = createRandom(3)
    let events = 0
    for (let round = 1; round <= 5; round++) {
      const report = await killAndCheck(join(folder, 'store.sqlite'), round, random.integer(5, 60))
      expect(report.repos).toBe(3)
      expect(report.events).toBeGreaterThan(events)
      events = report.events
    }
    expect(events).toBeGreaterThan(100)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}, 60_000)

it('lets two processes write the same repos, and kills both', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'skywright-kill-'))
  try {
    const file = join(folder, 'store.sqlite')
    for (const seed of [11, 12]) {
      const report = await killAndCheck(file, seed, 150, 2)
      expect(report.repos).toBe(3)
      expect(report.events).toBeGreaterThan(100)
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}, 60_000)
