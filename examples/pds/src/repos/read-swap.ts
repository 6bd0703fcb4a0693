import { parseCid, RepoError, type Cid } from '@skywright/repo'
import { InvalidRequestError } from '@skywright/xrpc'

/**
 * The CID a client wants the repo or a record to be at.
 *
 * @throws {InvalidRequestError} when it is a CID of a kind that repositories never have (version 0, another hash).
 */
export function readSwap(cid: string | undefined): Cid | undefined {
  if (cid === undefined) return undefined
  try {
    return parseCid(cid)
  } catch (cause) {
    if (!(cause instanceof RepoError)) throw cause
    throw new InvalidRequestError(`nothing here can have this CID: ${cause.message}`, { cause })
  }
}
