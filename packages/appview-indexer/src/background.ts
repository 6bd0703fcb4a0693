import { backoffMs } from './backoff.ts'
import type { Delay } from './backoff.ts'
import { IndexerClosedError } from './errors.ts'
import type { IndexIssue } from './indexer.ts'

/** Pauses after a task that failed, which is to say while the database refuses. */
const FIRST_RETRY_MS = 1_000
const MAX_RETRY_MS = 30_000

/** Runs until the signal aborts. */
export type BackgroundTask = (signal: AbortSignal) => Promise<void>

/** What goes on beside the streams, once however many there are: it starts with the first and stops with the last. */
export class Background {
  readonly #tasks: readonly BackgroundTask[]
  readonly #onIssue: (issue: IndexIssue) => void
  readonly #delay: Delay
  #users = 0
  #stop = new AbortController()
  #running: Promise<unknown> | undefined

  constructor(
    tasks: readonly BackgroundTask[],
    onIssue: (issue: IndexIssue) => void,
    delay: Delay,
  ) {
    this.#tasks = tasks
    this.#onIssue = onIssue
    this.#delay = delay
  }

  /** Keeps the tasks running as long as the work does; when the last work is done they have ended too. */
  async beside<T>(work: () => Promise<T>): Promise<T> {
    // One that is just stopping is waited for: no task runs twice.
    while (this.#users === 0 && this.#running !== undefined) await this.#running
    if (this.#users++ === 0) {
      this.#stop = new AbortController()
      const { signal } = this.#stop
      this.#running = Promise.all(this.#tasks.map((task) => this.keep(task, signal)))
    }
    try {
      return await work()
    } finally {
      if (--this.#users === 0) {
        this.#stop.abort()
        await this.#running
        this.#running = undefined
      }
    }
  }

  /** Runs a task again whenever it fails, after a pause: a database that is gone comes back. */
  async keep(task: BackgroundTask, signal: AbortSignal): Promise<void> {
    for (let attempt = 1; !signal.aborted; attempt++) {
      try {
        await task(signal)
        return
      } catch (error) {
        if (signal.aborted || error instanceof IndexerClosedError) return
        this.#onIssue({ kind: 'store-failed', error, attempt })
        const delayMs = backoffMs(attempt, FIRST_RETRY_MS, MAX_RETRY_MS)
        await this.#delay(delayMs, signal).catch(() => undefined)
      }
    }
  }
}
