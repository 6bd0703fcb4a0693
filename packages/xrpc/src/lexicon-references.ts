import type { LexiconDocument } from './lexicon-document.ts'

/** The parts of a schema that lead elsewhere. */
export interface ReferringSchema {
  readonly type?: unknown
  readonly ref?: unknown
  readonly refs?: unknown
  readonly closed?: unknown
}

/**
 * Every object in the definitions of a document, schemas among them, and where it is. Nothing in it has to have been
 * checked.
 */
export function* schemasOf({
  defs,
}: LexiconDocument): Generator<{ readonly schema: ReferringSchema; readonly path: string }> {
  // Schemas nest as deep as a document does, so the way is kept here and not on the stack.
  const pending: { readonly value: unknown; readonly path: string }[] = []
  for (const [name, value] of Object.entries(defs)) pending.push({ value, path: name })
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const { value, path } = next
    if (typeof value !== 'object' || value === null) continue
    yield { schema: value, path }
    for (const [key, inner] of Object.entries(value)) {
      pending.push({ value: inner, path: `${path}.${key}` })
    }
  }
}

/** What a document refers to in other documents, without the part behind the number sign; sorted, each once. */
export function referencedDocuments(document: LexiconDocument): readonly string[] {
  const found = new Set<string>()
  for (const { schema } of schemasOf(document)) {
    const { type, ref, refs } = schema
    const names: readonly unknown[] =
      type === 'ref' ? [ref] : type === 'union' && Array.isArray(refs) ? refs : []
    for (const name of names) {
      if (typeof name === 'string' && !name.startsWith('#')) found.add(name.split('#', 1)[0] ?? '')
    }
  }
  found.delete(document.id)
  return [...found].toSorted()
}
