import { DatabaseSync } from 'node:sqlite'

import { toByteString } from '../byte-string.ts'
import { cidKey } from '../cid.ts'
import type { RecordKey, RepoHead, RepoSnapshot, StoredNode, StoredRecord } from '../repo-store.ts'
import { SqliteReads } from './sqlite-reads.ts'
import { bytesOf, nodeOf, recordOf } from './sqlite-rows.ts'

/** Opens a frozen view on a connection of its own; SQLite keeps the state of its first read for as long as it stays open. */
export function openFileSnapshot(file: string, did: string): RepoSnapshot | undefined {
  const database = new DatabaseSync(file, { readOnly: true })
  try {
    database.exec('BEGIN')
    const reads = new SqliteReads(database)
    const head = reads.head(did)
    if (head === undefined) {
      database.close()
      return undefined
    }
    return {
      head,
      getNodes: async (cids) => reads.nodes(did, cids),
      getRecords: async (keys) => reads.records(did, keys),
      close: async () => {
        if (database.isOpen) database.close()
      },
    }
  } catch (error) {
    database.close()
    throw error
  }
}

/** Opens a frozen view of a database that lives in memory, by copying the repo: no second connection can see it. */
export function copySnapshot(
  database: DatabaseSync,
  reads: SqliteReads,
  did: string,
): RepoSnapshot | undefined {
  const head: RepoHead | undefined = reads.head(did)
  const known = reads.repo(did)
  if (head === undefined || known === undefined) return undefined
  const { repo, imported } = known
  const nodes = new Map<string, StoredNode>()
  for (const row of database
    .prepare('SELECT cid, rev, bytes FROM repo_node WHERE repo = ?')
    .iterate(repo)) {
    nodes.set(toByteString(bytesOf(row, 'cid')), nodeOf(row, imported))
  }
  const records = new Map<string, StoredRecord>()
  const all = database.prepare(
    'SELECT collection, rkey, cid, rev, bytes FROM repo_record WHERE repo = ?',
  )
  for (const row of all.iterate(repo)) {
    const record = recordOf(row, imported)
    records.set(`${record.collection}/${record.rkey}`, record)
  }
  return {
    head,
    getNodes: async (cids) => cids.map((cid) => nodes.get(cidKey(cid))),
    getRecords: async (keys: readonly RecordKey[]) =>
      keys.map(({ collection, rkey }) => records.get(`${collection}/${rkey}`)),
    close: async () => {
      nodes.clear()
      records.clear()
    },
  }
}
