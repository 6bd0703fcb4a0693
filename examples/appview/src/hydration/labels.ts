import type { LabelSubject } from '@skywright/appview-indexer'
import type { AppIndex } from '../collections.ts'
import type { Hydration } from './hydration.ts'
import { batches } from './read-all.ts'

/** Loads what the caller's labelers say of records and accounts; what was loaded already is skipped. */
export async function hydrateLabels(
  index: AppIndex,
  hydration: Hydration,
  subjects: Iterable<LabelSubject>,
): Promise<void> {
  const { labelers, labels } = hydration
  if (labelers.labelers.length === 0) return
  const missing = [...subjects].filter(
    (subject) => !labels.has(typeof subject === 'string' ? subject : subject.uri),
  )
  for (const batch of batches(missing))
    for (const [subject, said] of await index.labels(batch, labelers)) labels.set(subject, said)
}
