import type { Background } from './background.ts'
import { rebuildStep } from './engine/rebuild.ts'
import { ask } from './engine/steps.ts'
import type { CollectionSchema } from './schema.ts'
import type { SerialWriter } from './serial-writer.ts'

/** Sets the rows of a collection aside and derives them again, in bounded transactions with no batch in between. */
export function rebuildCollection(
  collection: CollectionSchema,
  writer: SerialWriter,
  background: Background,
  signal: AbortSignal,
): Promise<void> {
  return writer.exclusive(async (transact) => {
    let aside = false
    // Begun is finished: events must not meet rows that are set aside.
    await background.keep(async () => {
      if (!aside)
        await transact(function* (tx) {
          yield* ask(tx.putAside(collection))
        })
      aside = true
      while (await transact((tx, context) => rebuildStep(context, tx)));
    }, signal)
  })
}
