import { InvalidSyntaxError } from './errors.ts'

/** Bytes of an NSID, its dots included (spec, NSID). */
const MAX_NSID_BYTES = 317
const MAX_SEGMENT_BYTES = 63
/** Bytes of a record key (spec, record key). */
const MAX_RKEY_BYTES = 512

const DOT = 0x2e
const HYPHEN = 0x2d
const SLASH = 0x2f

/** The two parts of a repo path. */
export interface PathParts {
  /** NSID of the record type. */
  readonly collection: string
  /** Record key. */
  readonly rkey: string
}

/**
 * Tells whether `text` is a repo path: a normalised NSID (authority in lower case), one slash, a record key.
 *
 * @see {@link https://atproto.com/specs/repository#repo-paths}
 */
export function isPath(text: string): boolean {
  const slash = scanCollection(text)
  return slash > 0 && isRkeyAt(text, slash + 1)
}

/** Gives where the collection of a path ends if it is a normalised NSID followed by a slash; -1 otherwise. One pass, no allocation. */
function scanCollection(text: string): number {
  let segments = 0
  let start = 0
  let upper = false
  let hyphen = false
  for (let at = 0; at <= MAX_NSID_BYTES && at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === DOT || code === SLASH) {
      const length = at - start
      if (length === 0 || length > MAX_SEGMENT_BYTES || text.charCodeAt(at - 1) === HYPHEN)
        return -1
      if (code === SLASH) {
        // The last segment is the name: letters and digits, of either case, a letter first.
        if (segments < 2 || hyphen || isDigit(text.charCodeAt(start))) return -1
        return at
      }
      if (upper) return -1
      segments++
      start = at + 1
      hyphen = false
    } else if (code === HYPHEN) {
      if (at === start) return -1
      hyphen = true
    } else if (isDigit(code)) {
      if (at === 0) return -1
    } else if (code >= 0x41 && code <= 0x5a) {
      upper = true
    } else if (code < 0x61 || code > 0x7a) {
      return -1
    }
  }
  return -1
}

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39
}

function isRkeyAt(text: string, start: number): boolean {
  const length = text.length - start
  if (length < 1 || length > MAX_RKEY_BYTES) return false
  for (let at = start; at < text.length; at++) {
    const code = text.charCodeAt(at)
    const allowed =
      (code >= 0x61 && code <= 0x7a) ||
      (code >= 0x30 && code <= 0x3a) ||
      (code >= 0x41 && code <= 0x5a) ||
      code === DOT ||
      code === HYPHEN ||
      code === 0x5f ||
      code === 0x7e
    if (!allowed) return false
  }
  if (text.charCodeAt(start) !== DOT) return true
  return length > 2 || (length === 2 && text.charCodeAt(start + 1) !== DOT)
}

/**
 * Gives the parts of a repo path.
 *
 * @throws {InvalidSyntaxError} when `text` is no repo path.
 */
export function parsePath(text: string): PathParts {
  if (!isPath(text)) throw new InvalidSyntaxError('repo path', text, 'not <nsid>/<record key>')
  const slash = text.indexOf('/')
  return { collection: text.slice(0, slash), rkey: text.slice(slash + 1) }
}

/**
 * Gives the repo path of its parts.
 *
 * @throws {InvalidSyntaxError} when the collection is no normalised NSID or the rkey no record key.
 */
export function formatPath(collection: string, rkey: string): string {
  // What a client sent may come through here unchecked: a number would make a path that looks right.
  if (typeof collection !== 'string') throw new InvalidSyntaxError('collection', '', 'not text')
  if (typeof rkey !== 'string') throw new InvalidSyntaxError('record key', '', 'not text')
  const path = `${collection}/${rkey}`
  if (scanCollection(path) !== collection.length) {
    throw new InvalidSyntaxError('collection', collection, 'not a normalised nsid')
  }
  if (!isRkeyAt(path, collection.length + 1)) {
    throw new InvalidSyntaxError('record key', rkey, 'not a record key')
  }
  return path
}
