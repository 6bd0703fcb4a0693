import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { build } from 'tsup'
import type { Row } from '../row.ts'

/** What an indexer has to keep up with. */
const EVENTS_PER_SECOND = 2_000
const PACED_COMMITS = 120_000
const FAST_COMMITS = 300_000

const folder = join(import.meta.dirname, '..')
const bundle = join(folder, '.cache', 'index-memory')

export const row: Row = {
  work: `highest resident set of a process that indexes ${EVENTS_PER_SECOND.toLocaleString('en-US')} events a second, with rows, backlinks, counters and search`,
  unit: 'MB',
  rivalName: 'hand-written better-sqlite3 upserts',
  async measure() {
    await bundleScript()
    const ours = peak('ours', PACED_COMMITS, EVENTS_PER_SECOND)
    const rival = peak('rival', PACED_COMMITS, EVENTS_PER_SECOND)
    const oursFast = peak('ours', FAST_COMMITS)
    const rivalFast = peak('rival', FAST_COMMITS)
    return {
      ours,
      rival,
      note: `${PACED_COMMITS.toLocaleString('en-US')} commits of 100,000 accounts from another process; ${FAST_COMMITS.toLocaleString('en-US')} as fast as they are taken: ours ${oursFast.toFixed(0)} MB, rival ${rivalFast.toFixed(0)} MB; page caches of 80 MiB are in ours, of 2 MB in the rival's; both bundled, as deployed`,
    }
  },
}

/** As a server would be deployed: without the loader of TypeScript and what it takes of memory. */
async function bundleScript(): Promise<void> {
  await build({
    entry: [join(folder, 'index-memory.ts')],
    outDir: bundle,
    format: 'esm',
    platform: 'node',
    target: 'node24',
    // All but what has a native part.
    noExternal: [/^(?!better-sqlite3$)/],
    removeNodeProtocol: false,
    esbuildOptions(options) {
      options.conditions = ['@skywright/source']
    },
    // CommonJS inside a module.
    banner: {
      js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url)",
    },
    config: false,
    silent: true,
  })
}

function peak(who: 'ours' | 'rival', commits: number, perSecond = Infinity): number {
  const script = join(bundle, 'index-memory.js')
  const output = execFileSync(process.execPath, [script, who, String(commits), String(perSecond)], {
    encoding: 'utf8',
  })
  return Number(output.trim())
}
