import { setImmediate } from 'node:timers/promises'

import type { Background } from './background.ts'
import { rebuildStep } from './engine/rebuild.ts'
import { ask } from './engine/steps.ts'
import { IndexerClosedError } from './errors.ts'
import type { CollectionSchema } from './schema.ts'
import type { SerialWriter } from './serial-writer.ts'

/**
 * Derives the rows of a collection again beside the old ones, in bounded transactions with no batch in between, and puts
 * them in their place. One that does not come to its end is taken up again when the index opens.
 *
 * @throws {IndexerClosedError} when the indexer closed while the database refused
 */
export function rebuildCollection(
  collection: CollectionSchema,
  refetch: boolean,
  writer: SerialWriter,
  background: Background,
  signal: AbortSignal,
): Promise<void> {
  return writer.exclusive(async (transact) => {
    let [begun, done] = [false, false]
    // Begun is finished: an event that is applied in between would be lost with the old rows.
    await background.keep(async () => {
      if (!begun)
        await transact(function* (tx) {
          yield* ask(tx.beginRebuild(collection, refetch))
        })
      begun = true
      // Readers have their turn in between.
      while (await transact((tx, context) => rebuildStep(context, tx))) await setImmediate()
      done = true
    }, signal)
    if (done) return
    writer.refuse()
    throw new IndexerClosedError()
  })
}
