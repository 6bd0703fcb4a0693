import type { Lexicons } from '@atproto/lexicon'
import { InvalidLexiconError } from './errors.ts'
import type { LexiconDocument } from './lexicon-document.ts'
import { schemasOf } from './lexicon-references.ts'

/** What a reference may not stand for: tokens are names, the others are no definitions of their own. */
const NO_REF_TARGETS: ReadonlySet<string> = new Set(['token', 'ref', 'union', 'unknown', 'params'])
const UNION_TARGETS: ReadonlySet<string> = new Set(['object', 'record'])

/**
 * Checks the rules of lexicon documents that the validator's own schema leaves out: something is defined, `unknown` is no
 * definition, references lead to values, unions to objects, and a closed union has members. References to documents that
 * are not there are left for whoever needs them.
 *
 * @throws {InvalidLexiconError} when a rule is broken
 * @see {@link https://atproto.com/specs/lexicon}
 */
export function checkRules(lexicons: Pick<Lexicons, 'getDef'>, document: LexiconDocument): void {
  const { id, defs } = document
  const refuse = (reason: string): never => {
    throw new InvalidLexiconError(id, reason)
  }
  const target = (ref: unknown): string | undefined => {
    const uri = String(ref)
    return lexicons.getDef(uri.startsWith('#') ? `lex:${id}${uri}` : uri)?.type
  }
  if (Object.keys(defs).length === 0) refuse('nothing is defined')
  // What the validator has let through.
  for (const [name, { type }] of Object.entries(defs as Record<string, { type?: unknown }>)) {
    if (type === 'unknown') refuse(`${name}: unknown is no definition`)
  }
  for (const { schema, path } of schemasOf(document)) {
    const { type, ref, refs, closed } = schema
    if (type === 'ref' && typeof ref === 'string') {
      const found = target(ref)
      if (found !== undefined && NO_REF_TARGETS.has(found)) {
        refuse(`${path}: reference to a ${found}`)
      }
    }
    if (type === 'union' && Array.isArray(refs)) {
      if (closed === true && refs.length === 0) refuse(`${path}: closed union without members`)
      for (const member of refs as readonly unknown[]) {
        const found = target(member)
        if (found !== undefined && !UNION_TARGETS.has(found)) {
          refuse(`${path}: union with a ${found}`)
        }
      }
    }
  }
}
