/**
 * A process that opens an index by a changed declaration, and dies within its nth write transaction.
 *   node rebuild-worker.ts ADDRESS N
 */
import { openIndexer } from '../src/index.ts'
import type { IndexStore } from '../src/index.ts'
import { openKillStore } from './kill-place.ts'
import { changedCollections } from './rebuild-history.ts'

process.stdin.on('end', () => process.kill(process.pid, 'SIGKILL')).resume()
const [address = '', dieAt = ''] = process.argv.slice(2)
const store = openKillStore(address)
let transactions = 0
const dying: IndexStore = {
  dialect: store.dialect,
  prepare: (schema, options) => store.prepare(schema, options),
  query: (sql, parameters) => store.query(sql, parameters),
  transact: (work) =>
    store.transact(function* (tx) {
      const result = yield* work(tx)
      if (++transactions === Number(dieAt)) process.kill(process.pid, 'SIGKILL')
      return result
    }),
  [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
}
await using index = await openIndexer({ store: dying, collections: changedCollections() })
await index.settle()
process.stdout.write('done\n')
process.stdin.destroy()
