// Keeps a whole copy of a service's repositories in SQLite: backfill, live stream and whatever has to be fetched again.
// Its parent kills it, and compares the copy with the repositories.
import { flushCompileCache } from 'node:module'
import { DatabaseSync } from 'node:sqlite'
import { parsePublicKey } from '@skywright/identity/keys'
import { listRepos } from '../../src/resync/list-repos.ts'
import { openSqliteSyncStore } from '../../src/resync/sqlite-sync-store.ts'
import { runRepos } from '../../src/run.ts'
import { openSqliteCursorStore } from '../../src/sqlite-cursor-store.ts'
import { systemClock } from '../../src/timer.ts'
import type { AccountIdentity, IdentitySource } from '../../src/verify/identity.ts'
import { openSqliteChainStore } from '../../src/verify/sqlite-chain-store.ts'
import { createEventVerifier } from '../../src/verify/verifier.ts'
import { openWebSocket } from '../../src/ws.ts'

/** What the parent is told, event by event. */
export interface MirrorNews {
  readonly seq: number
  readonly live: boolean
}

/** Time passes a hundred times faster for whoever waits to try again. */
const HURRY = 100

const [service = '', file = '', startAfter = '0'] = process.argv.slice(2)
// Who is killed never gets to it later.
flushCompileCache()
const database = new DatabaseSync(file, { timeout: 10_000 })
database.exec(`
  PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
  CREATE TABLE IF NOT EXISTS mirror (did TEXT, path TEXT, cid TEXT, PRIMARY KEY (did, path)) WITHOUT ROWID;
`)
const select = database.prepare('SELECT path, cid FROM mirror WHERE did = ?')
const upsert = database.prepare(
  'INSERT INTO mirror VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET cid = excluded.cid',
)
const remove = database.prepare('DELETE FROM mirror WHERE did = ? AND path = ?')
const removeAll = database.prepare('DELETE FROM mirror WHERE did = ?')

const known = new Map<string, AccountIdentity>()
const identity: IdentitySource = {
  peek: (did) => known.get(did),
  purge: (did) => {
    known.delete(did)
  },
  resolve: async (did) => {
    const response = await fetch(`${service}/identity?did=${did}`)
    const { key } = (await response.json()) as { readonly key: string }
    const found = { signingKey: parsePublicKey(key), pds: service }
    known.set(did, found)
    return found
  },
}

const cursor = openSqliteCursorStore({ database })
if ((await cursor.get(service)) === undefined) await cursor.set(service, Number(startAfter))
await runRepos({
  service,
  cursor,
  verify: createEventVerifier({ identity, chain: openSqliteChainStore({ database }) }),
  resync: {
    identity,
    store: openSqliteSyncStore({ database }),
    known: (did) =>
      new Map(select.all(did).map((row) => [String(row['path']), String(row['cid'])])),
    backfill: listRepos({ service }),
    concurrency: 3,
  },
  open: openWebSocket,
  cursorIntervalMs: 5,
  concurrency: 8,
  clock: {
    now: () => Date.now(),
    sleep: (ms, signal) => systemClock.sleep(ms > 1_000 ? ms / HURRY : ms, signal),
  },
  onIssue: () => undefined,
  handle: async (event) => {
    for (let i = 0; i < event.seq % 4; i++) await new Promise((resolve) => setImmediate(resolve))
    if (event.type === 'account' && event.status === 'deleted') removeAll.run(event.did)
    if (event.type === 'commit') {
      database.exec('BEGIN IMMEDIATE')
      for (const { path, cid } of event.ops) {
        if (cid === null) remove.run(event.did, path)
        else upsert.run(event.did, path, cid.toString())
      }
      database.exec('COMMIT')
    }
    const news: MirrorNews = { seq: event.seq, live: event.live }
    process.send?.(news)
  },
})
