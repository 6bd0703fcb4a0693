import { Lexicons, parseLexiconDoc } from '@atproto/lexicon'
import { InvalidLexiconError } from './errors.ts'
import type { LexiconDocument } from './lexicon-document.ts'

/** A document, or its JSON text to be parsed when first asked for. */
export type DocumentSource = LexiconDocument | string

type ParsedDocument = Parameters<Lexicons['add']>[0]
type ParsedDefinition = NonNullable<ReturnType<Lexicons['getDef']>>

/** The validator's collection of documents, filled on demand: what nobody asks for is never parsed. */
export class LexiconStore extends Lexicons {
  readonly #sources: ReadonlyMap<string, DocumentSource>

  constructor(sources: ReadonlyMap<string, DocumentSource>) {
    super()
    this.#sources = sources
  }

  override getDef(uri: string): ParsedDefinition | undefined {
    const known = this.defs.get(uri)
    if (known !== undefined) return known
    const bare = uri.startsWith('lex:') ? uri.slice(4) : uri
    const hash = bare.indexOf('#')
    this.#load(hash === -1 ? bare : bare.slice(0, hash))
    return this.defs.get(`lex:${bare}`)
  }

  override get(uri: string): ParsedDocument | undefined {
    const id = uri.startsWith('lex:') ? uri.slice(4) : uri
    this.#load(id)
    return this.docs.get(`lex:${id}`)
  }

  #load(id: string): void {
    const source = this.#sources.get(id)
    if (source === undefined || this.docs.has(`lex:${id}`)) return
    // `add` rewrites references in place, so it gets a copy of its own. Text comes from our generator, already checked.
    this.add(typeof source === 'string' ? (JSON.parse(source) as ParsedDocument) : check(source))
  }
}

/**
 * A checked copy of a document.
 *
 * @throws {InvalidLexiconError} when it is not a lexicon document
 */
function check(document: LexiconDocument): ParsedDocument {
  try {
    return parseLexiconDoc(structuredClone(document))
  } catch (cause) {
    throw new InvalidLexiconError(String(document.id), reasonOf(cause), { cause })
  }
}

function reasonOf(cause: unknown): string {
  if (!(cause instanceof Error)) return 'not a lexicon document'
  const { issues } = cause as { issues?: readonly { path: readonly unknown[]; message: string }[] }
  const first = issues?.[0]
  return first === undefined ? cause.message : `${first.path.join('.')}: ${first.message}`
}
