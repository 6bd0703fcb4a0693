/**
 * Writes to several repos of one database until it is killed, and says what it was told is durable:
 * `writer-process.ts FILE SEED`, one line `did rev` for each commit.
 */
import { DatabaseSync } from 'node:sqlite'

import { encodeCbor, Repo, RepoError, RepoExistsError, type RepoWrite } from '../../src/index.ts'
import { openSqliteRepoStore } from '../../src/stores/sqlite.ts'
import { createTestKey } from '../../src/testing/index.ts'
import { createRandom } from '../random.ts'
import { createSqliteEventSink } from './sqlite-event-sink.ts'

const [file = '', seed = '1'] = process.argv.slice(2)
const database = new DatabaseSync(file)
database.exec('PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL')
const store = openSqliteRepoStore({ database, events: createSqliteEventSink(database) })
const signer = createTestKey()

async function write(n: number): Promise<never> {
  const did = `did:web:repo${n}.example.com`
  const random = createRandom(Number(seed) * 100 + n)
  const events = ({ rev }: { rev: string }) => [(seq: number) => encodeCbor({ seq, rev })]
  const options = { did, signer, events }
  const repo = await Repo.create(store, options).then(
    (created) => created.repo,
    (error: unknown) => {
      if (error instanceof RepoExistsError) return Repo.open(store, options)
      throw error
    },
  )
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
    const { commit } = await repo.applyWrites([...writes.values()]).catch((error: unknown) => {
      // Another process may have deleted what this batch deletes.
      if (error instanceof RepoError && error.code === 'RecordNotFound')
        return { commit: undefined }
      throw error
    })
    if (commit !== undefined) process.stdout.write(`${did} ${commit.rev}\n`)
  }
}

await Promise.all([0, 1, 2].map(write))
