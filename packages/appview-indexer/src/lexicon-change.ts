import { cidForRaw } from '@skywright/repo'

import type { IndexerOptions } from './indexer.ts'
import type { Declarations } from './collection.ts'

/** Catalogs as indexers take them. */
export type Lexicons = NonNullable<IndexerOptions<Declarations>['lexicons']>

/**
 * A text that changes when the lexicon of a record changes, or one that it refers to; undefined where the catalog does not
 * show its documents.
 */
export function lexiconDigest(lexicons: Lexicons, nsid: string): string | undefined {
  const documents = new Map<string, unknown>()
  const visit = (id: string): void => {
    if (documents.has(id)) return
    const document = lexicons.get?.(id)
    documents.set(id, document ?? null)
    for (const reference of referencesOf(document)) visit(reference)
  }
  visit(nsid)
  if (documents.get(nsid) === null) return undefined
  const sorted = [...documents].toSorted(([left], [right]) => (left < right ? -1 : 1))
  return cidForRaw(new TextEncoder().encode(JSON.stringify(sorted))).toString()
}

/** NSIDs of other documents that a document names in `ref` and `refs`. */
function* referencesOf(value: unknown): Generator<string, void, void> {
  if (typeof value !== 'object' || value === null) return
  for (const [key, inner] of Object.entries(value)) {
    const named: unknown[] =
      key === 'ref' ? [inner] : key === 'refs' && Array.isArray(inner) ? inner : []
    for (const one of named)
      if (typeof one === 'string' && !one.startsWith('#')) yield one.split('#')[0] ?? ''
    yield* referencesOf(inner)
  }
}
