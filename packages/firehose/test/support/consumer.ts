// Follows a firehose with a durable cursor and appends what it handled to a file; its parent is told, and kills it.
import { appendFileSync } from 'node:fs'
import { flushCompileCache } from 'node:module'
import { runRepos } from '../../src/run.ts'
import { openSqliteCursorStore } from '../../src/sqlite-cursor-store.ts'
import { openWebSocket } from '../../src/ws.ts'

const [service = '', folder = ''] = process.argv.slice(2)
// Who is killed never gets to it later.
flushCompileCache()
const cursor = openSqliteCursorStore({ database: `${folder}/cursor.sqlite` })
if ((await cursor.get(service)) === undefined) await cursor.set(service, 0)
await runRepos({
  service,
  cursor,
  verify: false,
  open: openWebSocket,
  lagMs: Infinity,
  cursorIntervalMs: 5,
  concurrency: 8,
  onIssue: () => undefined,
  handle: async ({ seq, did }) => {
    for (let i = 0; i < seq % 4; i++) await new Promise((resolve) => setImmediate(resolve))
    appendFileSync(`${folder}/handled`, `${String(seq)} ${did}\n`)
    process.send?.(seq)
  },
})
