import { setTimeout as delay } from 'node:timers/promises'
import type { Response } from 'express'
import type { Logger } from 'pino'
import type { Html } from './html.ts'
import { renderBoard } from './page.ts'
import type { StatusIndex } from './status-index.ts'

/** Statuses shown. */
const LATEST = 40
/** Emoji counted. */
const COUNTED = 24
/** Open pages that are told of changes; further ones are refused, and ask again. */
const MAX_LISTENERS = 2_000
/** Shortest time between two updates: a flood of statuses is a few updates a second, however many watch. */
const UPDATE_EVERY_MS = 100
/** Keeps proxies from closing a quiet connection, and finds out which listeners are gone. */
const HEARTBEAT_MS = 25_000
/** Unsent bytes of one listener. A slower one is cut off; its browser comes back and gets the latest state. */
const MAX_UNSENT_BYTES = 262_144

/** The part of the page that everybody sees alike: rendered once per change, and sent to every open page. */
export interface Board extends AsyncDisposable {
  readonly html: Html
  /** Answers with a stream of server-sent events: the board now, and again whenever it changed. */
  listen(response: Response): void
}

/** Starts to render. Resolves when there is something to show. */
export async function startBoard(index: StatusIndex, logger: Logger): Promise<Board> {
  const board = new LiveBoard(index, logger, await render(index))
  board.start()
  return board
}

class LiveBoard implements Board {
  html: Html
  readonly #index: StatusIndex
  readonly #logger: Logger
  readonly #listeners = new Set<Response>()
  readonly #stop = new AbortController()
  #running: Promise<unknown> | undefined

  constructor(index: StatusIndex, logger: Logger, html: Html) {
    this.#index = index
    this.#logger = logger
    this.html = html
  }

  start(): void {
    this.#running = Promise.allSettled([this.#follow(), this.#beat()])
  }

  listen(response: Response): void {
    if (this.#stop.signal.aborted || this.#listeners.size >= MAX_LISTENERS) {
      response.status(503).set('retry-after', '10').end()
      return
    }
    this.#listeners.add(response)
    response.on('close', () => this.#listeners.delete(response))
    // Closed at its end, or an open page would hold up the stop of the server.
    response.set({ 'content-type': 'text/event-stream', connection: 'close' })
    response.set('x-accel-buffering', 'no')
    response.write(toEvent(this.html))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    for (const response of this.#listeners) response.end()
    await this.#running
  }

  async #follow(): Promise<void> {
    const { signal } = this.#stop
    while (!signal.aborted) {
      try {
        for await (const _ of this.#index.select('status').live({ limit: 1, signal })) {
          const html = await render(this.#index)
          if (html.text !== this.html.text) {
            this.html = html
            this.#send(toEvent(html))
          }
          await delay(UPDATE_EVERY_MS, undefined, { signal })
        }
      } catch (error) {
        if (signal.aborted) return
        this.#logger.error({ err: error }, 'board')
        await delay(UPDATE_EVERY_MS * 10, undefined, { signal })
      }
    }
  }

  async #beat(): Promise<void> {
    for (;;) {
      await delay(HEARTBEAT_MS, undefined, { signal: this.#stop.signal, ref: false })
      this.#send(':\n\n')
    }
  }

  #send(text: string): void {
    for (const response of this.#listeners) {
      if (response.writableLength > MAX_UNSENT_BYTES) response.destroy()
      else response.write(text)
    }
  }
}

async function render(index: StatusIndex): Promise<Html> {
  const { rows } = await index.select('status').page({ limit: LATEST })
  const actors = await index.actors(rows.map(({ did }) => did))
  const statuses = rows.map((row) => ({ ...row, handle: actors.get(row.did)?.handle }))
  // `state` is 0 for what counts: not the records of accounts that are deactivated or taken down.
  const counts = await index.sql<{ readonly status: string; readonly n: number }>(
    'SELECT status, count(*) AS n FROM status WHERE state = 0 GROUP BY status ORDER BY n DESC, status LIMIT ?',
    [COUNTED],
  )
  return renderBoard({ statuses, counts })
}

/** JSON, because the lines of an event end at line ends. */
function toEvent(html: Html): string {
  return `data: ${JSON.stringify(html.text)}\n\n`
}
