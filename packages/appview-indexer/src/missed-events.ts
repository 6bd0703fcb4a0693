import { backoffMs } from './backoff.ts'
import type { Delay } from './backoff.ts'
import { ask } from './engine/steps.ts'
import type { BackfillOptions, IndexIssue } from './indexer.ts'
import type { SerialWriter } from './serial-writer.ts'
import type { IndexStore } from './stores/port.ts'

const PREFIX = 'missed:'
const FIRST_RETRY_MS = 1_000
const MAX_RETRY_MS = 300_000
/** How often a waiting worker looks by itself. */
const IDLE_POLL_MS = 1_000
const PAGE = 1_000

/** What {@link MissedEvents} needs of its indexer. */
export interface MissedEventsOptions {
  readonly store: IndexStore
  readonly writer: SerialWriter
  readonly canFetch: boolean
  readonly listRepos: (signal: AbortSignal) => BackfillOptions['repos']
  readonly queue: (repos: BackfillOptions['repos'], signal: AbortSignal) => Promise<void>
  readonly onIssue: (issue: IndexIssue) => void
  readonly delay: Delay
}

/** The source whose mark this is; undefined when it is a position. */
export function missedSource(name: string): string | undefined {
  return name.startsWith(PREFIX) ? name.slice(PREFIX.length) : undefined
}

/**
 * Remembers that a source missed events, and has the repos listed and queued until that is done. The mark is stored in
 * the transaction that moves the cursor past the hole, and taken away when every listed repo is in the queue.
 */
export class MissedEvents {
  readonly #options: MissedEventsOptions
  #times = 0

  constructor(options: MissedEventsOptions) {
    this.#options = options
  }

  /** Name of the mark of a source. */
  nameOf(source: string): string {
    return `${PREFIX}${source}`
  }

  /** Events were missed once more; the mark is stored. */
  add(): void {
    this.#times++
  }

  /** Lists and queues whenever the mark is set, until the signal aborts. Without a way to fetch, the mark stays. */
  async work(source: string, cursorName: string, signal: AbortSignal): Promise<void> {
    const { store, writer, canFetch, listRepos, queue, onIssue, delay } = this.#options
    if (!canFetch) return
    const mark = this.nameOf(cursorName)
    let done = -1
    let attempt = 0
    while (!signal.aborted) {
      const times = this.#times
      try {
        if (times !== done) {
          const sql = 'SELECT 1 AS one FROM ix_source WHERE name = ? AND cursor = 1'
          if ((await store.query(sql, [mark])).length > 0) {
            await queue(listRepos(signal), signal)
            const isCurrent = (): boolean => this.#times === times
            await writer.transact(function* (tx, { now }) {
              // Missed again while listing: once more.
              if (isCurrent()) yield* ask(tx.setCursor(mark, 0, now))
            })
          }
          done = times
          attempt = 0
        }
        await writer.awaitWork(delay, IDLE_POLL_MS, signal)
      } catch (error) {
        if (signal.aborted) return
        onIssue({ kind: 'listing-failed', source, error, attempt: ++attempt })
        await delay(backoffMs(attempt, FIRST_RETRY_MS, MAX_RETRY_MS), signal).catch(() => undefined)
      }
    }
  }
}

/** Every account the index holds a repo of. */
export async function* indexedRepos(store: IndexStore): AsyncGenerator<string, void, void> {
  let after = 0
  for (;;) {
    const rows = await store.query(
      'SELECT id, did FROM ix_actor WHERE rev IS NOT NULL AND id > ? ORDER BY id LIMIT ?',
      [after, PAGE],
    )
    for (const row of rows) yield String(row['did'])
    const last = rows.at(-1)
    if (last === undefined) return
    after = Number(last['id'])
  }
}
