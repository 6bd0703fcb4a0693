import { join } from 'node:path'
import {
  bundle,
  COMMANDS,
  installRuntimes,
  runOn,
  runOnWorkerd,
} from '../../../scripts/runtimes/runtimes.ts'
import { beforeAll, describe, expect, it } from 'vitest'

const folder = join(import.meta.dirname, '../.cache/runtimes')
const expression = 'cases.portableCheck()'
const passed: unknown = expect.stringMatching(/^ok on /)

describe('other runtimes', () => {
  beforeAll(async () => {
    installRuntimes()
    await bundle(join(import.meta.dirname, 'runtimes/portable-check.ts'), folder)
  }, 300_000)

  it.each(COMMANDS)('pass the portable check: %s', async (_name, command) => {
    expect(await runOn(command(), folder, expression)).toEqual(passed)
  })

  it('pass the portable check: workerd', async () => {
    expect(await runOnWorkerd(folder, expression)).toEqual(passed)
  })
})
