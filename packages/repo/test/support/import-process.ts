/**
 * Imports the CAR on its input into a SQLite store, one `put` line for each batch that is durable, and prints what it took:
 * `import-process.ts FILE DID < CAR`.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks'

import { importRepo } from '../../src/index.ts'
import { openSqliteRepoStore } from '../../src/stores/sqlite.ts'
import { createTestKey } from '../../src/testing/index.ts'

const [file = '', did = ''] = process.argv.slice(2)
const store = openSqliteRepoStore({ database: file })
let highest = 0
const telling = Object.create(store, {
  stage: {
    value: (of: string) => {
      const stage = store.stage(of)
      return Object.create(stage, {
        put: {
          value: async (...rows: Parameters<typeof stage.put>) => {
            await stage.put(...rows)
            highest = Math.max(highest, process.memoryUsage.rss())
            process.stdout.write('put\n')
          },
        },
        putBlocks: {
          value: async (...blocks: Parameters<typeof stage.putBlocks>) => {
            await stage.putBlocks(...blocks)
            highest = Math.max(highest, process.memoryUsage.rss())
          },
        },
      })
    },
  },
}) as typeof store
const key = createTestKey()
const delay = monitorEventLoopDelay({ resolution: 1 })
delay.enable()
const { recordCount } = await importRepo(telling, process.stdin, { did, key, signer: key })
highest = Math.max(highest, process.memoryUsage.rss())
const lag99 = Math.round(delay.percentile(99) / 1e6)
const worst = Math.round(delay.max / 1e6)
process.stdout.write(`${JSON.stringify({ recordCount, rss: highest, lag99, worst })}\n`)
await store.close()
