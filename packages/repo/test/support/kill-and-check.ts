import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { DatabaseSync } from 'node:sqlite'
import { fileURLToPath } from 'node:url'

import { decodeCbor, Repo, verifyRepo } from '../../src/index.ts'
import { openSqliteRepoStore } from '../../src/stores/sqlite.ts'
import { createTestKey } from '../../src/testing/index.ts'

const script = fileURLToPath(new URL('./writer-process.ts', import.meta.url))

/**
 * Runs writers of the same repos until each has told of a commit and all of `commits`, kills them on the spot, and gives the last
 * rev told of for each repo.
 */
async function writeAndKill(
  file: string,
  seed: number,
  commits: number,
  writers: number,
): Promise<ReadonlyMap<string, string>> {
  const told = new Map<string, string>()
  const children = Array.from({ length: writers }, (_, n) =>
    spawn(
      process.execPath,
      ['--disable-warning=ExperimentalWarning', script, file, String(seed + n * 1000)],
      { stdio: ['ignore', 'pipe', 'pipe'] },
    ),
  )
  const silent = new Set(children)
  const killAll = (): void => children.forEach((child) => child.kill('SIGKILL'))
  let left = commits
  try {
    await Promise.all(
      children.map(async (child) => {
        let complaint = ''
        child.stderr.on('data', (chunk: Buffer) => (complaint += chunk.toString()))
        const exited = once(child, 'exit')
        for await (const line of createInterface({ input: child.stdout })) {
          const [did = '', rev = ''] = line.split(' ')
          if (rev.length !== 13) continue
          silent.delete(child)
          left--
          if (rev > (told.get(did) ?? '')) told.set(did, rev)
          // One may have written all of them before another has started.
          if (left <= 0 && silent.size === 0) killAll()
        }
        await exited
        if (child.signalCode !== 'SIGKILL')
          throw new Error(`the writer ended by itself: ${complaint}`)
      }),
    )
  } finally {
    killAll()
  }
  return told
}

/** What a check after a kill found. */
export interface KillReport {
  readonly repos: number
  readonly records: number
  readonly events: number
}

/**
 * Kills writers, each a process, at a random point, opens what is left and checks that nothing told is lost, head and last event agree, every
 * repo verifies, and the record rows are exactly the tree's.
 */
export async function killAndCheck(
  file: string,
  seed: number,
  commits: number,
  writers = 1,
): Promise<KillReport> {
  const told = await writeAndKill(file, seed, commits, writers)
  const database = new DatabaseSync(file)
  const [integrity] = database.prepare('PRAGMA integrity_check').all()
  if (integrity?.['integrity_check'] !== 'ok') throw new Error('the database is damaged')
  const store = openSqliteRepoStore({ database })
  const key = createTestKey()
  const lastEvent = database.prepare(
    'SELECT seq, bytes FROM event WHERE did = ? ORDER BY seq DESC LIMIT 1',
  )
  const heads = await store.listHeads()
  let records = 0
  for (const { did, rev } of heads) {
    const lastTold = told.get(did)
    if (lastTold !== undefined && rev < lastTold)
      throw new Error(`a durable commit is lost; did=${did}`)
    const event = lastEvent.get(did)
    const { rev: eventRev } = decodeCbor(event?.['bytes'] as Uint8Array) as { rev: string }
    if (eventRev !== rev)
      throw new Error(`head and last event differ; did=${did} head=${rev} event=${eventRev}`)
    const repo = await Repo.open(store, { did, signer: key })
    const verified = await verifyRepo(repo.export(), { did, key })
    if (verified.rev !== rev) throw new Error('the export is of another rev')
    const nodes = database
      .prepare('SELECT COUNT(*) AS n FROM repo_node JOIN repo_head USING (repo) WHERE did = ?')
      .get(did)
    if (nodes?.['n'] !== verified.nodeCount) throw new Error('nodes were left behind')
    if ((await store.countRecords(did)) !== verified.recordCount)
      throw new Error('rows and tree differ')
    records += verified.recordCount
  }
  const events = Number(database.prepare('SELECT COUNT(*) AS n FROM event').get()?.['n'])
  const highest = Number(database.prepare('SELECT MAX(seq) AS n FROM event').get()?.['n'])
  if (events !== highest) throw new Error('the event log has a gap')
  database.close()
  return { repos: heads.length, records, events }
}
