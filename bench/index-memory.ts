// Indexes a live stream in a process of its own and prints its highest resident set in megabytes.
//   node --conditions=@skywright/source bench/index-memory.ts ours|rival COMMITS
import { openIndexer } from '@skywright/appview-indexer'
import { openSqliteIndexStore } from '@skywright/appview-indexer/sqlite'
import { collections, recordOf, RecordStream, sourceOf, timeOnFile } from './index-load.ts'
import { HandWrittenIndex } from './index-rivals.ts'

const [who, count] = process.argv.slice(2)
const stream = new RecordStream({ accounts: 100_000 })
const commits = Number(count)
await timeOnFile(async (path) => {
  if (who === 'ours') {
    await using index = await openIndexer({ store: openSqliteIndexStore(path), collections })
    await index.run(
      sourceOf(
        (function* () {
          for (let seq = 1; seq <= commits; seq++) yield stream.commit(seq)
        })(),
      ),
    )
  } else {
    using index = new HandWrittenIndex(path)
    for (let seq = 1; seq <= commits; seq++) {
      const event = stream.commit(seq)
      index.write(event.did, recordOf(event), seq)
    }
  }
})
console.log(process.resourceUsage().maxRSS / 1024)
