import { ASIDE } from './shadow.ts'
import type { IndexerStatus } from './indexer.ts'
import { missedSource } from './missed-events.ts'
import type { IndexStore } from './stores/port.ts'

/** What a process did since it opened the index, and whether the database refuses it now. */
export type Totals = Pick<IndexerStatus, 'batches' | 'events' | 'records' | 'failing'>

/** Reads the figures of an operator's page. */
export async function readStatus(store: IndexStore, totals: Totals): Promise<IndexerStatus> {
  const sources = await store.query(
    'SELECT name, cursor, "updatedAt" FROM ix_source ORDER BY name',
    [],
  )
  const repos = { live: 0, queued: 0, fetching: 0, synchronized: 0, failed: 0 }
  const names = ['live', 'queued', 'fetching', 'synchronized'] as const
  for (const row of await store.query(
    'SELECT sync, attempts > 0 AS failed, count(*) AS n FROM ix_actor WHERE rev IS NOT NULL OR sync <> 0 GROUP BY sync, attempts > 0',
    [],
  )) {
    const name = Number(row['failed']) === 1 ? 'failed' : (names[Number(row['sync'])] ?? 'live')
    repos[name] += Number(row['n'])
  }
  const dead = await store.query(
    `SELECT count(*) AS n FROM ix_dead WHERE space IN (SELECT id FROM ix_space WHERE name NOT LIKE '%${ASIDE}%')`,
    [],
  )
  const dropped = await store.query(
    'SELECT sum("deadDropped") AS n FROM ix_actor WHERE "deadDropped" <> 0',
    [],
  )
  return {
    cursors: sources
      .filter(({ name }) => missedSource(String(name)) === undefined)
      .map((row) => ({
        source: String(row['name']),
        cursor: Number(row['cursor']),
        updatedAt: Number(row['updatedAt']),
      })),
    repos,
    missed: sources.flatMap((row) => {
      const source = missedSource(String(row['name']))
      return source === undefined ? [] : [{ source, pending: Number(row['cursor']) === 1 }]
    }),
    deadLetters: Number(dead[0]?.['n'] ?? 0),
    deadLettersDropped: Number(dropped[0]?.['n'] ?? 0),
    ...totals,
  }
}
