import { InvalidLexiconError } from '../../errors.ts'
import type { LexiconDocument } from '../../lexicon-document.ts'
import { referencedDocuments } from '../../lexicon-references.ts'
import { checkDocument, isNsid } from './render.ts'

/** Documents that strangers can make us fetch, each a few requests: more than the whole AT Protocol refers to. */
export const MAX_PUBLISHED = 1_000
const MAX_SHOWN = 317

/** Options of {@link collectPublished}. */
export interface CollectPublishedOptions {
  /** Fetches a published document, and proves it. */
  readonly resolve: (nsid: string) => Promise<unknown>
  /** Whether to fetch what the documents refer to. */
  readonly follow: boolean
  /** Whether a document is there already, so that references to it need nothing. */
  readonly isPresent: (nsid: string) => boolean
}

/**
 * Fetches published documents and what they refer to, directly or not, one after the other: first those that are named,
 * then those that they refer to, each document's in the order of their names. References in circles end where they began.
 *
 * @throws {InvalidLexiconError} when a document is not the one asked for, refers to something that is no NSID, or to one
 *   that cannot be fetched (`cause` says why), or when there are more than {@link MAX_PUBLISHED} to fetch
 * @throws what `resolve` throws for a document that is named
 */
export async function collectPublished(
  nsids: readonly string[],
  { resolve, follow, isPresent }: CollectPublishedOptions,
): Promise<readonly LexiconDocument[]> {
  /** What to fetch, and who refers to it. Grows while it is read, in order. */
  const wanted = new Map<string, string | undefined>(nsids.map((nsid) => [nsid, undefined]))
  const documents: LexiconDocument[] = []
  for (const [nsid, referrer] of wanted) {
    const document = await fetchDocument(nsid, referrer, resolve)
    documents.push(document)
    if (!follow) continue
    for (const name of referencedDocuments(document)) {
      if (!isNsid(name)) {
        const shown = name.slice(0, MAX_SHOWN)
        throw new InvalidLexiconError(nsid, `refers to what is no NSID, ref=${shown}`)
      }
      if (wanted.has(name) || isPresent(name)) continue
      wanted.set(name, nsid)
      if (wanted.size > MAX_PUBLISHED) {
        throw new InvalidLexiconError(nsid, `refers to too many, maxDocuments=${MAX_PUBLISHED}`)
      }
    }
  }
  return documents
}

async function fetchDocument(
  nsid: string,
  referrer: string | undefined,
  resolve: CollectPublishedOptions['resolve'],
): Promise<LexiconDocument> {
  try {
    const document = checkDocument(await resolve(nsid))
    if (document.id !== nsid) throw new InvalidLexiconError(nsid, `is another, id=${document.id}`)
    return document
  } catch (cause) {
    if (referrer === undefined) throw cause
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new InvalidLexiconError(referrer, `refers to ${nsid}, which cannot be had: ${why}`, {
      cause,
    })
  }
}
