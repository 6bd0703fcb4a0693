/**
 * A process that indexes a fixed history into an index until it is killed. It loads everything, says `ready` and waits
 * for a line with the address of the index and the mode; it says `done` when the history has ended.
 */
import { once } from 'node:events'

import { openIndexer } from '../src/index.ts'
import { killHistory } from './kill-history.ts'
import { openKillStore } from './kill-place.ts'
import { socialCollections } from './social.ts'

const network = killHistory()
process.stdout.write('ready\n')
const [line] = (await once(process.stdin, 'data')) as [Buffer]
process.stdin.destroy()
const [address = '', mode = 'live'] = line.toString().trim().split(' ')
await using index = await openIndexer({
  store: openKillStore(address),
  collections: socialCollections(),
  now: () => network.now(),
  maxBatchEvents: 7,
  fetchRepo: network.fetchRepo,
})
const source = network.source('relay')
if (mode === 'live') await index.run(source)
else
  await Promise.all([
    index.run(source),
    index.backfill({ repos: network.accounts.map(({ did }) => did), concurrency: 2 }),
  ])
await index.settle()
process.stdout.write('done\n')
