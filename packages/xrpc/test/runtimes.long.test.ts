import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  bundle,
  COMMANDS,
  installRuntimes,
  runOn,
  runOnWorkerd,
  startMiniflare,
} from '../../../scripts/runtimes/runtimes.ts'
import { beforeAll, describe, expect, it } from 'vitest'
import { openWebSocket } from '../src/adapters/ws.ts'
import { createClient } from '../src/client.ts'
import { subscribe } from '../src/subscribe.ts'
import { examples } from './documents.ts'
import { caseCount } from './portable/cases.ts'
import { writeGuideWorker } from './worker-guide.ts'

const folder = join(import.meta.dirname, '../.cache/runtimes')
const everything = { passed: caseCount, failed: [] }
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

  it('has the Worker of the guide serve queries and subscriptions on workerd', async () => {
    await bundle(writeGuideWorker('worker-workerd'), folder, 'worker')
    const contents = readFileSync(join(folder, 'worker.js'), 'utf8')
    const miniflare = await startMiniflare({ 'worker.js': contents })
    try {
      const service = (await miniflare.ready).origin
      const client = createClient({ service, lexicons: examples })
      expect(await client.query('com.example.getThing', { name: 'a' })).toEqual({ name: 'a' })
      for (const jsonFrames of [false, true]) {
        const seen: number[] = []
        const reading = async (): Promise<void> => {
          const params = { cursor: 5 }
          const options = { service, lexicons: examples, params, jsonFrames, open: openWebSocket }
          for await (const message of subscribe({ ...options, nsid: 'com.example.listen' })) {
            if (message.$type === 'com.example.listen#tick') seen.push(message.seq)
          }
        }
        await expect(reading()).rejects.toMatchObject({ error: 'FutureCursor' })
        expect(seen).toEqual([5, 6, 7])
      }
    } finally {
      await miniflare.dispose()
    }
  }, 30_000)
})
