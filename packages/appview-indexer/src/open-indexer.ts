import { checkOptions } from './check-options.ts'
import type { Declarations } from './collection.ts'
import { DefaultIndexer } from './default-indexer.ts'
import type { Indexer, IndexerOptions } from './indexer.ts'
import { withLexicons } from './lexicons.ts'
import { compileSchema } from './schema.ts'
import { checkShard, WHOLE } from './shard.ts'

/**
 * Opens an indexer over a store: creates or checks the tables, resumes what a crash interrupted.
 *
 * @throws {InvalidDeclarationError} when a declaration contradicts itself
 * @throws {SchemaMismatchError} when the store was laid out by other declarations
 * @throws {RangeError} when a number among the options is none that could work
 */
export async function openIndexer<const D extends Declarations>(
  options: IndexerOptions<D>,
): Promise<Indexer<D>> {
  checkOptions(options)
  const schema = compileSchema(withLexicons(options.collections, options.lexicons))
  const { shard = WHOLE } = options
  checkShard(shard)
  await options.store.prepare(schema, { canFetch: options.fetchRepo !== undefined, shard })
  const indexer = new DefaultIndexer(options, schema)
  await indexer.resume()
  // The reader checks every name at run time; the declared types are put back on here, once.
  return indexer as unknown as Indexer<D>
}
