/** One of several processes that index a fixed history into one Postgres database, until it is killed. */
import { openIndexer } from '../src/index.ts'
import { openPostgresIndexStore } from '../src/stores/postgres.ts'
import { killHistory } from './kill-history.ts'
import { socialCollections } from './social.ts'

const [connectionString = '', index = '0', count = '1', mode = 'live'] = process.argv.slice(2)
// Its standard input ends with whoever started it, however that ended.
process.stdin.on('end', () => process.kill(process.pid, 'SIGKILL')).resume()

const network = killHistory()
await using indexer = await openIndexer({
  store: openPostgresIndexStore({ connectionString }),
  collections: socialCollections(),
  shard: { index: Number(index), count: Number(count) },
  now: () => network.now(),
  maxBatchEvents: 25,
  fetchRepo: network.fetchRepo,
})
process.stdout.write('open\n')
const source = network.source('relay')
if (mode === 'live') await indexer.run(source)
else
  await Promise.all([
    indexer.run(source),
    indexer.backfill({ repos: network.accounts.map(({ did }) => did), concurrency: 2 }),
  ])
await indexer.settle()
process.stdout.write('done\n')
process.stdin.destroy()
