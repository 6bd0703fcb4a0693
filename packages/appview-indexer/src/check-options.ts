import type { Declarations } from './collection.ts'
import { DEAD_LETTER_LIMITS } from './engine/dead-letter-limits.ts'
import type { DeadLetterLimits } from './engine/dead-letter-limits.ts'
import type { IndexerOptions } from './indexer.ts'

/** @throws {RangeError} when a number would stop the indexer, or lift one of its bounds */
export function checkOptions(
  options: Pick<IndexerOptions<Declarations>, 'maxBatchEvents' | 'deadLetterLimits'>,
): void {
  const { maxBatchEvents = 1, deadLetterLimits } = options
  checkCount('maxBatchEvents', maxBatchEvents)
  const limits: DeadLetterLimits = { ...DEAD_LETTER_LIMITS, ...deadLetterLimits }
  for (const [name, limit] of Object.entries(limits))
    if (!(limit >= 0)) throw new RangeError(`deadLetterLimits.${name} must not be ${limit}`)
}

/** @throws {RangeError} when it is no whole number above zero */
export function checkCount(name: string, count: number): void {
  if (!Number.isSafeInteger(count) || count < 1)
    throw new RangeError(`${name} must be a whole number above zero, not ${count}`)
}
