import type { Delay } from './backoff.ts'
import { ask } from './engine/steps.ts'
import type { SerialWriter } from './serial-writer.ts'

const PART = 50
/** How often new work is looked for. */
const POLL_MS = 1_000
/** When a handle that could not be told is tried again. */
const RETRY_MS = 300_000

/** Options of {@link resolveDueHandles}. */
export interface HandleWorkOptions {
  readonly writer: SerialWriter
  readonly resolveHandle: (
    did: string,
    options: { readonly signal: AbortSignal },
  ) => Promise<string | null | undefined>
  readonly signal: AbortSignal
  readonly delay: Delay
}

/**
 * Looks up handles marked as due until the signal aborts, and announces those that changed. One that cannot be told now
 * keeps its old value and is tried again later.
 */
export async function resolveDueHandles(options: HandleWorkOptions): Promise<void> {
  const { writer, resolveHandle, signal, delay } = options
  while (!signal.aborted) {
    const { startedAt, due } = await writer.transact(function* (tx, { now }) {
      const actors = yield* ask(tx.dueActors('handle', now, PART))
      return { startedAt: now, due: actors.map(({ did }) => did) }
    })
    if (due.length === 0) {
      await writer.awaitWork(delay, POLL_MS, signal)
      continue
    }
    const found = await Promise.all(
      due.map(async (did) => {
        try {
          return { did, handle: await resolveHandle(did, { signal }) }
        } catch {
          return { did, handle: undefined }
        }
      }),
    )
    if (signal.aborted) return
    const touched = await writer.transact(function* (tx, { now, schema }) {
      const actors = yield* ask(tx.actors(due, false))
      let changed = false
      for (const [index, actor] of actors.entries()) {
        if (actor === undefined) continue
        const handle = found[index]?.handle
        if (handle !== undefined) {
          changed ||= actor.handle !== (handle ?? undefined)
          yield* ask(tx.setHandle(actor, handle ?? undefined))
        }
        // Changed while it was looked up: looked up once more. Could not be told: later again.
        if (actor.handleDue <= startedAt)
          actor.handleDue = handle === undefined ? now + RETRY_MS : 0
        yield* ask(tx.putActors([actor]))
      }
      // Pages show handles beside the rows of every collection.
      return new Set(changed ? schema.collections.map(({ name }) => name) : [])
    })
    writer.announce(touched)
  }
}
