import { getPdsEndpoint, getSigningKey, type DidDocument } from '@skywright/identity'
import type { AccountIdentity, IdentitySource } from './identity.ts'

/** Identities from DID documents already at hand: nothing is asked of the network. */
export function createDocumentIdentities(
  documents: Readonly<Record<string, DidDocument>>,
): IdentitySource {
  const known = new Map<string, AccountIdentity>()
  const find = (did: string): AccountIdentity | undefined => {
    const before = known.get(did)
    if (before !== undefined) return before
    const document = Object.hasOwn(documents, did) ? documents[did] : undefined
    if (document === undefined) return undefined
    const identity = { signingKey: getSigningKey(document), pds: getPdsEndpoint(document) }
    known.set(did, identity)
    return identity
  }
  return {
    peek: find,
    resolve: (did) => {
      const identity = find(did)
      return identity === undefined
        ? Promise.reject(new Error(`no document; did=${did}`))
        : Promise.resolve(identity)
    },
    purge: () => undefined,
  }
}
