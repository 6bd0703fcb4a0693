import { setImmediate } from 'node:timers/promises'

import { cidForRaw } from '@skywright/repo'

import type { Declarations } from './collection.ts'
import { retryDeadLetters } from './dead-letters.ts'
import { revalidateStep } from './engine/revalidate.ts'
import { ask } from './engine/steps.ts'
import type { IndexerOptions } from './indexer.ts'
import type { CollectionSchema, Schema } from './schema.ts'
import type { SerialWriter } from './serial-writer.ts'
import type { IndexStore } from './stores/port.ts'

/** Catalogs as indexers take them. */
type Lexicons = NonNullable<IndexerOptions<Declarations>['lexicons']>

/** The declarations with records also checked against their lexicon, where there is one. */
export function withLexicons(
  collections: Declarations,
  lexicons: Lexicons | undefined,
): Declarations {
  if (lexicons === undefined) return collections
  const checked = Object.entries(collections).map(([name, declaration]) => {
    const { nsid, validate } = declaration
    if (!lexicons.hasRecord(nsid)) return [name, declaration] as const
    const both: typeof validate = (record, rkey) => {
      lexicons.validateRecord(nsid, record, { legacyBlobs: true })
      return validate?.(record, rkey)
    }
    return [name, { ...declaration, validate: both }] as const
  })
  return Object.fromEntries(checked)
}

/**
 * Judges the records of collections whose lexicon has changed since they were indexed: stored ones that no longer fit are
 * taken out, refused ones that fit now are taken in. Goes on where it was cut off. Answers whether there was any.
 */
export async function judgeByChangedLexicons(
  lexicons: Lexicons | undefined,
  schema: Schema,
  store: IndexStore,
  writer: SerialWriter,
  canFetch: boolean,
): Promise<boolean> {
  let any = false
  const remember = (key: string, value: string): Promise<void> =>
    writer.transact(function* (tx) {
      yield* ask(tx.remember(key, value))
    })
  for (const collection of schema.collections) {
    const { nsid } = collection
    const digest = lexicons?.hasRecord(nsid) === true ? lexiconDigest(lexicons, nsid) : undefined
    if (digest === undefined) continue
    const key = `lexicon:${nsid}`
    const stored = await recall(store, key)
    if (stored === digest) continue
    if (stored !== undefined) {
      // Rows that kept no record are judged by their repos: by the next process that can fetch them.
      if (!collection.keepsRecord && !canFetch) {
        await retryDeadLetters(store, writer, nsid)
        continue
      }
      any = true
      await judgeAgain(collection, digest, store, writer)
      await retryDeadLetters(store, writer, nsid)
    }
    await remember(key, digest)
  }
  return any
}

async function judgeAgain(
  collection: CollectionSchema,
  digest: string,
  store: IndexStore,
  writer: SerialWriter,
): Promise<void> {
  const key = `judged:${collection.nsid}`
  const [judgedBy, position = '[]'] = (await recall(store, key))?.split(' ') ?? []
  // Written below.
  let after = (judgedBy === digest ? JSON.parse(position) : []) as Position | null
  while (after !== null) {
    const from: Position = after
    const part = await writer.transact(function* (tx, context) {
      const judged = yield* revalidateStep(context, tx, collection, from)
      yield* ask(tx.remember(key, `${digest} ${JSON.stringify(judged.after ?? null)}`))
      return judged
    })
    writer.announce(part.outcome.touched)
    after = part.after ?? null
    await setImmediate()
  }
}

type Position = readonly (string | number)[]

async function recall(store: IndexStore, key: string): Promise<string | undefined> {
  const [row] = await store.query('SELECT value FROM ix_meta WHERE key = ?', [key])
  return row === undefined ? undefined : String(row['value'])
}

/**
 * A text that changes when the lexicon of a record changes, or one that it refers to; undefined where the catalog does not
 * show its documents.
 */
function lexiconDigest(lexicons: Lexicons, nsid: string): string | undefined {
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
