import { setImmediate } from 'node:timers/promises'

import type { Declarations } from './collection.ts'
import { retryDeadLetters } from './dead-letters.ts'
import { rebuildStep } from './engine/rebuild.ts'
import { ask } from './engine/steps.ts'
import type { IndexerOptions } from './indexer.ts'
import { judgeByChangedLexicons } from './lexicons.ts'
import type { Schema } from './schema.ts'
import type { SerialWriter } from './serial-writer.ts'
import { REPO_FETCHING, REPO_QUEUED } from './stores/transaction.ts'

/**
 * Goes on where the process before stopped: repos whose fetch was cut off are queued again, what changed declarations and
 * lexicons ask for is done, and sweeps continue where they were.
 */
export async function resumeIndex(
  options: Pick<IndexerOptions<Declarations>, 'store' | 'lexicons' | 'fetchRepo'>,
  schema: Schema,
  writer: SerialWriter,
): Promise<void> {
  const { lexicons, store } = options
  await writer.transact(function* (tx) {
    yield* ask(tx.requeueFetching(REPO_FETCHING, REPO_QUEUED))
  })
  let rebuilt = false
  while (await writer.transact((tx, context) => rebuildStep(context, tx))) {
    rebuilt = true
    // An embedded store answers at once: everything else has its turn in between, here and in all that is long.
    await setImmediate()
  }
  // What the old declaration could not take, the new one may.
  if (rebuilt) await retryDeadLetters(store, writer)
  const canFetch = options.fetchRepo !== undefined
  const judged = await judgeByChangedLexicons(lexicons, schema, store, writer, canFetch)
  // Gates are asked, and what was replaced is gone, when the first query comes.
  if (rebuilt || judged) await writer.settle()
  writer.startSweeping()
}
