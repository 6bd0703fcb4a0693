import type { Delay } from './backoff.ts'
import { ask } from './engine/steps.ts'
import type { SerialWriter } from './serial-writer.ts'

const PART = 50
/** How often new work is looked for. */
const POLL_MS = 1_000

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

/** Looks up handles marked as due until the signal aborts. One that cannot be told now keeps its old value until the next identity event. */
export async function resolveDueHandles(options: HandleWorkOptions): Promise<void> {
  const { writer, resolveHandle, signal, delay } = options
  while (!signal.aborted) {
    const due = await writer.transact(function* (tx, { now }) {
      return (yield* ask(tx.dueActors('handle', now, PART))).map(({ did }) => did)
    })
    if (due.length === 0) {
      await delay(POLL_MS, signal).catch(() => undefined)
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
    await writer.transact(function* (tx) {
      const actors = yield* ask(tx.actors(due, false))
      for (const [index, actor] of actors.entries()) {
        if (actor === undefined) continue
        const handle = found[index]?.handle
        if (handle !== undefined) yield* ask(tx.setHandle(actor, handle ?? undefined))
        actor.handleDue = false
        yield* ask(tx.putActors([actor]))
      }
    })
  }
}
