import { join } from 'node:path'
import {
  bundle,
  COMMANDS,
  installRuntimes,
  runOn,
  runOnWorkerd,
} from '../../../scripts/runtimes/runtimes.ts'
import { beforeAll, describe, expect, it } from 'vitest'
import { portableCases } from './portable/cases.ts'

const folder = join(import.meta.dirname, '../.cache/runtimes')
const everything = { passed: portableCases().length, failed: [] }
const expression = 'cases.runPortableCases()'

describe('the portable suite', () => {
  beforeAll(async () => {
    installRuntimes()
    await bundle(join(import.meta.dirname, 'portable/cases.ts'), folder)
  }, 300_000)

  it.each(COMMANDS)('passes on %s', async (_name, command) => {
    expect(await runOn(command(), folder, expression)).toEqual(everything)
  })

  it('passes on workerd', async () => {
    expect(await runOnWorkerd(folder, expression)).toEqual(everything)
  })
})
