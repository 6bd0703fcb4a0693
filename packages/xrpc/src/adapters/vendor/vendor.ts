import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { InvalidLexiconError } from '../../errors.ts'
import { atproto } from '../../lexicons.ts'
import { collectPublished } from './collect-published.ts'
import { isNsid, MAX_LEXICON_BYTES, renderLexicons } from './render.ts'
import type { RenderOptions } from './render.ts'

/** More documents than any namespace has. */
const MAX_DOCUMENTS = 10_000

/** Options of {@link vendor}. */
export interface VendorOptions extends RenderOptions {
  /** JSON files, folders of them (searched to the bottom), or NSIDs of published documents. */
  readonly sources: readonly string[]
  /** Folder for the modules; made when absent. */
  readonly out: string
  /** Fetches a published document. */
  readonly resolve: (nsid: string) => Promise<unknown>
  /**
   * Fetches what published documents refer to as well, and so on. Not what the other sources or
   * `@skywright/xrpc/lexicons` have, nor what files refer to.
   * @defaultValue true
   */
  readonly follow?: boolean
}

/**
 * Writes the modules of lexicon documents, giving the names of the files that changed. Writes nothing unless all documents
 * are found and good.
 *
 * @throws {InvalidLexiconError} when a file is no lexicon document, two would need the same file, a document that a published
 *   one refers to cannot be had, or they refer to more than 1,000
 * @throws {RangeError} when there are more than 10,000 documents
 * @throws what {@link VendorOptions.resolve} and the file system throw
 */
export async function vendor(options: VendorOptions): Promise<readonly string[]> {
  const documents: unknown[] = []
  const published: string[] = []
  for (const source of options.sources) {
    const stat = statSync(source, { throwIfNoEntry: false })
    if (stat === undefined && isNsid(source)) published.push(source)
    else documents.push(...readDocuments(source))
    if (documents.length + published.length > MAX_DOCUMENTS) {
      throw new RangeError('too many documents')
    }
  }
  const local = new Set(documents.map((document) => (document as { id?: unknown } | null)?.id))
  documents.push(
    ...(await collectPublished(published, {
      resolve: options.resolve,
      follow: options.follow ?? true,
      isPresent: (nsid) => local.has(nsid) || atproto.has(nsid),
    })),
  )
  const modules = renderLexicons(documents, options)
  mkdirSync(options.out, { recursive: true })
  const changed: string[] = []
  for (const [name, text] of modules) {
    const path = join(options.out, name)
    if (statSync(path, { throwIfNoEntry: false })?.isFile() === true) {
      if (readFileSync(path, 'utf8') === text) continue
    }
    writeFileSync(path, text)
    changed.push(name)
  }
  return changed
}

function readDocuments(path: string): unknown[] {
  const stat = statSync(path)
  if (!stat.isDirectory()) return [readDocument(path, stat.size)]
  return readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.json'))
    .map((entry) => join(entry.parentPath, entry.name))
    .toSorted()
    .map((file) => readDocument(file, statSync(file).size))
}

function readDocument(path: string, size: number): unknown {
  if (size > MAX_LEXICON_BYTES) throw new InvalidLexiconError(path, 'file is too long')
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as unknown
  } catch (cause) {
    throw new InvalidLexiconError(path, 'file is not JSON', { cause })
  }
}
