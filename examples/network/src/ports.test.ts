import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { readPorts, writePorts } from './ports.ts'

describe('readPorts', () => {
  let folder: string
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'skywright-ports-'))
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  it('takes free ports where nothing was saved', () => {
    expect(readPorts(folder, 2)).toEqual({
      plc: 0,
      relay: 0,
      appView: 0,
      pds: [0, 0],
      statusphere: 0,
    })
  })
  it('gives back what was written, and free ports to PDSes that are new', () => {
    writePorts(folder, { plc: 1, relay: 2, appView: 3, pds: [4], statusphere: 5 })
    expect(readPorts(folder, 2)).toEqual({
      plc: 1,
      relay: 2,
      appView: 3,
      pds: [4, 0],
      statusphere: 5,
    })
  })
  it('takes a free port for the statusphere where the file is from before there was one', () => {
    writeFileSync(join(folder, 'network.json'), '{"plc":1,"relay":2,"appView":3,"pds":[4]}')
    const saved = { plc: 1, relay: 2, appView: 3, pds: [4], statusphere: 0 }
    expect(readPorts(folder, 1)).toEqual(saved)
  })
  it.each([
    '{}',
    '[]',
    '{"plc":1,"relay":2,"appView":"3","pds":[]}',
    '{"plc":1,"relay":2,"appView":70000,"pds":[]}',
    '{"plc":1,"relay":2,"appView":3,"pds":[],"statusphere":0}',
  ])('refuses a file that holds %s', (text) => {
    writeFileSync(join(folder, 'network.json'), text)
    expect(() => readPorts(folder, 1)).toThrow(/not a file of ports/)
  })
})
