/**
 * Writes to several repos of one database until it is killed, and says what it was told is durable:
 * `writer-process.ts FILE SEED`, one line `did rev` for each commit.
 */
import { DatabaseSync } from 'node:sqlite'

import { encodeCbor, Repo, type RepoWrite } from '../../src/index.ts'
import { openSqliteRepoStore } from '../../src/stores/sqlite.ts'
import { createTestKey } from '../../src/testing/index.ts'
import { createRandom } from '../random.ts'
import { createSqliteEventSink } from './sqlite-event-sink.ts'

const [file = '', seed = '1'] = process.argv.slice(2)
const database = new DatabaseSync(file)
database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL')
const store = openSqliteRepoStore({ database, events: createSqliteEventSink(database) })
const signer = createTestKey()

async function write(n: number): Promise<never> {
  const did = `did:web:repo${n}.example.com`
  const random = createRandom(Number(seed) * 100 + n)
  const events = ({ rev }: { rev: string }) => [(seq: number) => encodeCbor({ seq, rev })]
  const options = { did, signer, events }
  const repo =
    (await store.getHead(did)) === undefined
      ? (await Repo.create(store, options)).repo
      : await Repo.open(store, options)
  for (;;) {
    const writes = new Map<string, RepoWrite>()
    for (let i = random.integer(1, 8); i > 0; i--) {
      const rkey = `r${random.integer(0, 200)}`
      const collection = 'com.example.note'
      const exists = (await repo.get(collection, rkey)) !== undefined
      writes.set(
        rkey,
        exists && random.chance(0.5)
          ? { action: 'delete', collection, rkey }
          : {
              action: 'put',
              collection,
              rkey,
              record: { $type: collection, n: random.integer(0, 1e9) },
            },
      )
    }
    const { commit } = await repo.applyWrites([...writes.values()])
    if (commit !== undefined) process.stdout.write(`${did} ${commit.rev}\n`)
  }
}

await Promise.all([0, 1, 2].map(write))
