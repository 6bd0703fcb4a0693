import type { RecordObject } from './column.ts'
import { storableText } from './storable-text.ts'
import { isDid, parseRecordUri } from './target.ts'

/** Most links one record may have; further ones are ignored, in record order, which is canonical. */
export const MAX_LINKS_PER_RECORD = 256
/** Longest path of a link inside a record, in characters. */
export const MAX_LINK_PATH_LENGTH = 256
/** How deep the walk goes. */
const MAX_WALK_DEPTH = 32

/** A link from a record: where in the record, and to which at-uri or DID. */
export interface RecordLink {
  readonly path: string
  readonly target: string
}

/**
 * Every at-uri with a DID authority and every DID in a record, at any depth, with its path:
 * `embed.record.uri`, `facets[].features[].did`. Each (path, target) once.
 */
export function findRecordLinks(
  record: RecordObject,
  covered: ReadonlySet<string>,
  only: ReadonlySet<string> | undefined,
): RecordLink[] {
  const links: RecordLink[] = []
  const seen = new Set<string>()
  const visit = (value: unknown, path: string, depth: number): void => {
    if (typeof value === 'string') {
      if (covered.has(path) || (only !== undefined && !only.has(path))) return
      const target = asTarget(value)
      if (target === undefined || path.length > MAX_LINK_PATH_LENGTH) return
      const key = `${path}\n${target}`
      if (seen.has(key) || links.length >= MAX_LINKS_PER_RECORD) return
      seen.add(key)
      links.push({ path: storableText(path), target })
      return
    }
    if (typeof value !== 'object' || value === null || depth > MAX_WALK_DEPTH) return
    if (Array.isArray(value)) {
      const inner = `${path}[]`
      for (const item of value) visit(item, inner, depth + 1)
      return
    }
    if (!isPlain(value)) return
    for (const key in value) {
      const item = (value as RecordObject)[key]
      if (typeof item !== 'string' && typeof item !== 'object') continue
      visit(item, path === '' ? key : `${path}.${key}`, depth + 1)
    }
  }
  visit(record, '', 0)
  return links
}

/** The link target a string names, canonical; undefined when it names none. */
export function asTarget(value: string): string | undefined {
  if (value.startsWith('at://')) {
    if (parseRecordUri(value) !== undefined) return value
    const did = value.slice(5).replace(/\/$/, '')
    return isDid(did) ? did : undefined
  }
  return value.startsWith('did:') && isDid(value) ? value : undefined
}

/** Plain maps only: CIDs and byte strings hold no links. */
function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}
