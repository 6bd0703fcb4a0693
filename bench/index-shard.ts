// One of several processes that fill a Postgres index. Makes its repos, says `ready`, waits for a line, says how many ms it took.
//   node --conditions=@skywright/source bench/index-shard.ts CONNECTION INDEX COUNT REPOS RECORDS
import { once } from 'node:events'
import { isOfShard, openIndexer } from '@skywright/appview-indexer'
import { openPostgresIndexStore } from '@skywright/appview-indexer/postgres'
import { collections, snapshotsOf, RecordStream } from './index-load.ts'

const [connectionString = '', index, count, repos, records] = process.argv.slice(2)
const shard = { index: Number(index), count: Number(count) }
const stream = new RecordStream({ seed: shard.index + 1 })
const own = stream.accounts.filter((did) => isOfShard(did, shard)).slice(0, Number(repos))
const snapshots = snapshotsOf(stream, own, Number(records))
await using indexer = await openIndexer({
  store: openPostgresIndexStore({ connectionString }),
  collections,
  shard,
  fetchRepo: async (did) => {
    const snapshot = snapshots.get(did)
    if (snapshot === undefined) throw new Error(`no such repo; did=${did}`)
    return { kind: 'snapshot', snapshot }
  },
})
console.log('ready')
await once(process.stdin, 'data')
process.stdin.destroy()
const started = performance.now()
await indexer.backfill({ repos: snapshots.keys() })
console.log(performance.now() - started)
