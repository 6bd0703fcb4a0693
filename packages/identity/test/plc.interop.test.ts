import { describe, expect, it } from 'vitest'
import { InvalidPlcLogError, plcDidDocument, verifyAuditLog } from '../src/plc/index.ts'
import { createMemoryPlcStore, createPlcDirectory } from '../src/plc-directory/index.ts'
import type { PlcLogEntry } from '../src/plc/index.ts'
import { fixtureFiles, fixtureJson, haveFixtures } from './fixtures.ts'

function log(path: string): PlcLogEntry[] {
  return fixtureJson(path) as PlcLogEntry[]
}

describe.skipIf(!haveFixtures)('interop: did:plc audit logs', () => {
  const valid = haveFixtures ? fixtureFiles('plc/valid') : []
  const invalid = haveFixtures ? fixtureFiles('plc/invalid') : []

  it('finds 10 valid and 5 invalid logs', () => {
    expect([valid.length, invalid.length]).toEqual([10, 5])
  })

  it.each(valid)('accepts %s', (file) => {
    const entries = log(`plc/valid/${file}`)
    const did = entries[0]!.did
    const verified = verifyAuditLog(did, entries)
    expect(verified.entries).toHaveLength(entries.length)
    expect(verified.entries.map(({ cid }) => cid)).toEqual(entries.map(({ cid }) => cid))
    expect(verified.entries.map(({ nullified }) => nullified)).toEqual(
      entries.map(({ nullified }) => nullified),
    )
    expect(verified.data === undefined).toBe(entries.at(-1)!.operation.type === 'plc_tombstone')
    if (verified.data !== undefined) {
      expect(plcDidDocument({ did, ...verified.data }).id).toBe(did)
    }
  })

  it.each(invalid)('refuses %s', (file) => {
    const entries = log(`plc/invalid/${file}`)
    expect(() => verifyAuditLog(entries[0]!.did, entries)).toThrow(InvalidPlcLogError)
  })

  it.each(valid.filter((file) => !file.includes('legacy')))(
    'a directory accepts %s again',
    async (file) => {
      const entries = log(`plc/valid/${file}`)
      let now = 0
      const directory = createPlcDirectory({
        store: createMemoryPlcStore(),
        now: () => now,
        rateLimits: false,
      })
      for (const entry of entries) {
        now = Date.parse(entry.createdAt)
        const response = await directory.fetch(
          new Request(`https://plc.test/${entry.did}`, {
            method: 'POST',
            body: JSON.stringify(entry.operation),
          }),
        )
        expect(await response.text()).toBe('OK')
      }
      const answered = await directory.fetch(
        new Request(`https://plc.test/${encodeURIComponent(entries[0]!.did)}/log/audit`),
      )
      expect(await answered.json()).toEqual(entries)
    },
  )

  it.each(invalid)('a directory refuses %s', async (file) => {
    let now = 0
    const directory = createPlcDirectory({ now: () => now, rateLimits: false })
    const statuses: number[] = []
    for (const entry of log(`plc/invalid/${file}`)) {
      now = Date.parse(entry.createdAt)
      const request = new Request(`https://plc.test/${entry.did}`, {
        method: 'POST',
        body: JSON.stringify(entry.operation),
      })
      statuses.push((await directory.fetch(request)).status)
    }
    expect(statuses).toContain(400)
  })

  it('refuses every log in which one bit of what is signed or hashed changed', () => {
    let refused = 0
    for (const file of valid) {
      const entries = log(`plc/valid/${file}`)
      const did = entries[0]!.did
      entries.forEach((entry, index) => {
        for (const [field, value] of Object.entries({ ...entry.operation, cid: entry.cid, did })) {
          const damaged = structuredClone(entries) as unknown as Record<string, unknown>[]
          const target = damaged[index]!
          if (field === 'cid' || field === 'did') target[field] = damage(value)
          else (target['operation'] as Record<string, unknown>)[field] = damage(value)
          expect(() => verifyAuditLog(did, damaged), `${file} ${index} ${field}`).toThrow(
            InvalidPlcLogError,
          )
          refused++
        }
      })
    }
    expect(refused).toBeGreaterThan(200)
  })
})

function damage(value: unknown): unknown {
  if (typeof value === 'string') {
    const middle = value.length >> 1
    return value.slice(0, middle) + (value[middle] === 'a' ? 'b' : 'a') + value.slice(middle + 1)
  }
  if (value === null) return 'bafyreidt3urwnjdgfb5g3yvtvxgesnuydskk5gowux3o4ehtolgxpkkwwq'
  if (Array.isArray(value)) return [...(value as unknown[]), 'did:key:zz']
  return { ...(value as object), extra: 'did:key:zz' }
}
