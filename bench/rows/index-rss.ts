import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import type { Row } from '../row.ts'

const COMMITS = 300_000

function peak(who: 'ours' | 'rival'): number {
  const script = join(import.meta.dirname, '..', 'index-memory.ts')
  const output = execFileSync(
    process.execPath,
    ['--conditions=@skywright/source', script, who, String(COMMITS)],
    { encoding: 'utf8' },
  )
  return Number(output.trim())
}

export const row: Row = {
  work: 'highest resident set of a process that indexes a live stream as fast as it can, with rows, backlinks, counters and search',
  unit: 'MB',
  rivalName: 'hand-written better-sqlite3 upserts',
  measure: () =>
    Promise.resolve({
      ours: peak('ours'),
      rival: peak('rival'),
      note: `${COMMITS.toLocaleString('en-US')} commits of 100,000 accounts, made in the same process; a page cache of 64 MiB is in ours, of 2 MB in the rival's; ours from TypeScript source`,
    }),
}
