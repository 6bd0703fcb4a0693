import type { EventLog } from '@skywright/firehose'
import type { ConfirmationStore } from './accounts/confirmation-store.ts'
import type { BlobStore } from './blobs/blob-store.ts'
import { sweepBlobs } from './blobs/sweep-blobs.ts'
import type { Logger } from './log.ts'
import { isBlobReferenced } from './repos/repo-facts.ts'
import type { RepoHost } from './repos/repo-host.ts'
import type { SessionStore } from './sessions/session-store.ts'

/** How long events stay readable for subscribers that were away. */
export const EVENT_RETENTION_MS: number = 72 * 3_600_000
const INTERVAL_MS = 3_600_000

/** The work nobody asks for. */
export interface Housekeeping extends AsyncDisposable {
  /** Does it now. */
  run(): Promise<void>
}

/** Starts the hourly round. A failing round is logged and the next one tries again. */
export function startHousekeeping(options: {
  readonly blobs: BlobStore
  readonly sessions: SessionStore
  readonly confirmations: ConfirmationStore
  readonly events: EventLog
  readonly repos: RepoHost
  readonly now: () => number
  readonly log: Logger
}): Housekeeping {
  const { blobs, sessions, confirmations, events, repos, now, log } = options
  let running: Promise<void> = Promise.resolve()

  async function round(): Promise<void> {
    const nowMs = now()
    const swept = await sweepBlobs({
      blobs,
      isReferenced: (did, cid) => isBlobReferenced(repos.store, did, cid),
      exclusively: repos.exclusively,
      nowMs,
    })
    const expired = sessions.sweep(nowMs)
    confirmations.sweep(nowMs)
    const trimmed = await events.trim({ beforeMs: nowMs - EVENT_RETENTION_MS })
    log.info({ ...swept, sessions: expired, events: trimmed }, 'housekeeping done')
  }

  /** One round at a time. */
  function run(): Promise<void> {
    running = running.catch(() => undefined).then(round)
    return running
  }

  const timer = setInterval(() => {
    run().catch((error: unknown) => log.error({ err: error }, 'housekeeping failed'))
  }, INTERVAL_MS)
  timer.unref()
  return {
    run,
    async [Symbol.asyncDispose]() {
      clearInterval(timer)
      await running.catch(() => undefined)
    },
  }
}
