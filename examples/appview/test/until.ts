import type { Indexer } from '@skywright/appview-indexer'
import type { AppCollections } from '../src/collections.ts'

/** Time after which a test is told that what it waits for does not come. */
const PATIENCE_MS = 20_000
/** What is not written to the index is looked at this often. */
const LOOK_EVERY_MS = 20

/** Resolves when the condition holds: looks whenever the index changed, and now and then. */
export async function until(
  index: Indexer<AppCollections>,
  condition: () => Promise<boolean>,
): Promise<void> {
  const end = AbortSignal.timeout(PATIENCE_MS)
  while (!(await condition())) {
    if (end.aborted) throw new Error('waited in vain')
    const signal = AbortSignal.any([end, AbortSignal.timeout(LOOK_EVERY_MS)])
    await index.changed({ signal }).catch(() => undefined)
  }
}
