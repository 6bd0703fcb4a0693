import { describe, it } from 'vitest'
import { checkKills } from './support/process.ts'

const KILLS = 500

describe('a relay process, at length', () => {
  it(`loses and doubles nothing over ${String(KILLS)} kills`, { timeout: 1_800_000 }, async () => {
    await checkKills(KILLS)
  })
})
