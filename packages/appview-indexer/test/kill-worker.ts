/** A process that indexes a fixed history into a file until it is killed. Prints a line after each batch. */
import { openIndexer } from '../src/index.ts'
import { openSqliteIndexStore } from '../src/stores/sqlite.ts'
import { killHistory } from './kill-history.ts'
import { socialCollections } from './social.ts'

const [path = '', mode = 'live'] = process.argv.slice(2)
const network = killHistory()
await using index = await openIndexer({
  store: openSqliteIndexStore(path),
  collections: socialCollections(),
  now: () => network.now(),
  maxBatchEvents: 7,
  fetchRepo: network.fetchRepo,
})
process.stdout.write('open\n')
const source = network.source('relay')
if (mode === 'live') await index.run(source)
else
  await Promise.all([
    index.run(source),
    index.backfill({ repos: network.accounts.map(({ did }) => did), concurrency: 2 }),
  ])
await index.settle()
process.stdout.write('done\n')
