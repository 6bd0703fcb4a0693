import type { AcceptedLabelers, Actor } from '@skywright/appview-indexer'
import type { IdentityResolver } from '@skywright/identity'
import { InvalidRequestError } from '@skywright/xrpc'
import { parseRecordUri } from './at-uri.ts'
import type { AppIndex } from './collections.ts'
import { isShown } from './hydration/hydration.ts'

/** A handle that the index does not know is asked for on the network, for at most this long. */
const RESOLVE_TIMEOUT_MS = 3_000

/** Finds the account that a request names. */
export interface ActorLookup {
  /** DID of an at-identifier; `undefined` when it is a handle that nobody holds. */
  did(identifier: string): Promise<string | undefined>
  /** DIDs of several, in the order asked, without those that nobody holds. */
  dids(identifiers: readonly string[]): Promise<readonly string[]>
  /**
   * An indexed account that may be shown, and that no labeler of the caller's takes down.
   * @throws {InvalidRequestError} when it is unknown, or `AccountTakedown` / `AccountDeactivated`
   */
  visible(identifier: string, labelers: AcceptedLabelers): Promise<Actor>
  /** The at-uri with its authority as DID; `undefined` when that is a handle that nobody holds, or it names no record. */
  uri(uri: string): Promise<string | undefined>
  /** Several at-uris, each once, without those that lead nowhere. */
  uris(uris: readonly string[]): Promise<readonly string[]>
}

/** Looks accounts up in the index first, then on the network. */
export function createActorLookup(
  index: AppIndex,
  resolver: Pick<IdentityResolver, 'resolveIdentity'>,
): ActorLookup {
  async function did(identifier: string): Promise<string | undefined> {
    if (identifier.startsWith('did:')) return identifier
    const handle = identifier.toLowerCase()
    const known = await index.actor(handle)
    if (known !== undefined) return known.did
    try {
      const signal = AbortSignal.timeout(RESOLVE_TIMEOUT_MS)
      return (await resolver.resolveIdentity(handle, { signal })).did
    } catch {
      // Whatever the reason, this handle leads to no account now; the next request asks again.
      return undefined
    }
  }
  async function recordUri(uri: string): Promise<string | undefined> {
    const parts = parseRecordUri(uri)
    const authority = parts === undefined ? undefined : await did(parts.authority)
    if (parts === undefined || authority === undefined) return undefined
    return `at://${authority}/${parts.collection}/${parts.rkey}`
  }
  return {
    did,
    uri: recordUri,
    async uris(uris) {
      const found = await Promise.all(uris.map(recordUri))
      return [...new Set(found.filter((value) => value !== undefined))]
    },
    async dids(identifiers) {
      const found = await Promise.all(identifiers.map(did))
      return found.filter((value) => value !== undefined)
    },
    async visible(identifier, labelers) {
      const found = await did(identifier)
      const actor = found === undefined ? undefined : await index.actor(found)
      if (!isShown(actor)) throw hiddenError(actor)
      const said = await index.labels([actor.did], labelers)
      if (said.get(actor.did)?.redacted === true) throw takedownError()
      return actor
    },
  }
}

function takedownError(): InvalidRequestError {
  return new InvalidRequestError('Account has been suspended', { error: 'AccountTakedown' })
}

function hiddenError(actor: Actor | undefined): InvalidRequestError {
  if (actor === undefined || actor.active || actor.status === 'deleted')
    return new InvalidRequestError('Profile not found')
  if (actor.status === 'takendown' || actor.status === 'suspended') return takedownError()
  return new InvalidRequestError('Account is deactivated', { error: 'AccountDeactivated' })
}
