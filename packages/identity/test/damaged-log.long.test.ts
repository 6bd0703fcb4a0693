import { describe, expect, it } from 'vitest'
import type { PlcLogEntry } from '../src/plc/index.ts'
import { fixtureFiles, fixtureJson, haveFixtures } from './fixtures.ts'
import { damageEveryByte, forkedLog } from './support/damaged-log.ts'

describe('an audit log with any one byte changed', () => {
  it('is refused, unless only a time changed', async () => {
    const { did, log } = await forkedLog()
    const { tried, refused, retimed } = damageEveryByte(did, log, 1)
    expect(refused + retimed).toBe(tried)
    expect(refused).toBeGreaterThan(2000)
  })

  it.skipIf(!haveFixtures)('is refused, for the logs of did:plc too', () => {
    const files = fixtureFiles('plc/valid')
    expect(files).toHaveLength(10)
    for (const file of files) {
      const log = fixtureJson(`plc/valid/${file}`) as PlcLogEntry[]
      const { tried, refused, retimed } = damageEveryByte(log[0]!.did, log, 1)
      expect(refused + retimed, file).toBe(tried)
      expect(refused, file).toBeGreaterThan(200)
    }
  })
})
