import { isValidNsid, isValidRecordKey } from '@atproto/syntax'

import { InvalidSyntaxError } from './errors.ts'

/** The two parts of a repo path. */
export interface PathParts {
  /** NSID of the record type. */
  readonly collection: string
  /** Record key. */
  readonly rkey: string
}

/** Tells whether `text` is a repo path: a valid NSID, one slash, a valid record key. @see {@link https://atproto.com/specs/repository#repo-paths} */
export function isPath(text: string): boolean {
  const slash = text.indexOf('/')
  return slash > 0 && isValidNsid(text.slice(0, slash)) && isValidRecordKey(text.slice(slash + 1))
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
 * @throws {InvalidSyntaxError} when the collection is no NSID or the rkey no record key.
 */
export function formatPath(collection: string, rkey: string): string {
  if (!isValidNsid(collection)) throw new InvalidSyntaxError('nsid', collection, 'not a valid collection')
  if (!isValidRecordKey(rkey)) throw new InvalidSyntaxError('record key', rkey, 'not a valid record key')
  return `${collection}/${rkey}`
}
