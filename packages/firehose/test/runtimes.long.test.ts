import { join } from 'node:path'
import {
  bundle,
  COMMANDS,
  installRuntimes,
  runOn,
  runOnWorkerd,
} from '../../../scripts/runtimes/runtimes.ts'
import { beforeAll, describe, expect, it } from 'vitest'
import { SimulatedNetwork } from '../src/testing/index.ts'
import { createEventSockets } from '../src/ws.ts'
import { caseCount } from './portable/cases.ts'
import { listen } from './support/listen.ts'

const folder = join(import.meta.dirname, '../.cache/runtimes')
const everything = { passed: caseCount, failed: [] }

/** A firehose on this machine, and the expression that runs the cases against it. */
async function serve() {
  const network = await SimulatedNetwork.create({ accounts: 5, seed: 23 })
  for (let i = 0; i < 100; i++) await network.step()
  const { log } = network.hosts[0]!
  const server = await listen(createEventSockets(log))
  const { last } = log.bounds()
  return { server, expression: `cases.runPortableCases('${server.service}', ${String(last)})` }
}

describe('the portable suite', () => {
  beforeAll(async () => {
    installRuntimes()
    await bundle(join(import.meta.dirname, 'portable/cases.ts'), folder)
  }, 300_000)

  it.each(COMMANDS)('passes on %s', async (_name, command) => {
    const { server, expression } = await serve()
    await using _server = server
    expect(await runOn(command(), folder, expression)).toEqual(everything)
  })

  it('passes on workerd', async () => {
    const { server, expression } = await serve()
    await using _server = server
    expect(await runOnWorkerd(folder, expression)).toEqual(everything)
  })
})
