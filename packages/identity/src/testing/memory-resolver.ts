import { getHandle, getPdsEndpoint, getSigningKey } from '../did-document-access.ts'
import type { DidDocument } from '../did-document.ts'
import { DidNotFoundError, HandleMismatchError, HandleNotFoundError } from '../errors.ts'
import type { IdentityError } from '../errors.ts'
import { INVALID_HANDLE } from '../handle.ts'
import type { PublicKey } from '../keys/key.ts'
import type { DidResolution, IdentityResolver } from '../resolver/identity-resolver.ts'

/** A resolver over documents put into it. */
export interface MemoryResolver extends IdentityResolver {
  /** Adds or replaces a DID document; its first `at://` alias resolves to it. */
  set(document: DidDocument): void
  /** Adds or replaces the usual document of an account. */
  setAccount(account: {
    readonly did: string
    readonly handle?: string
    readonly signingKey?: PublicKey
    readonly pds?: string
  }): void
  delete(did: string): void
  /**
   * Makes lookups of a DID or handle fail with an error, until it is set to `undefined`. An account whose handle fails
   * is found by its DID, with `handle.invalid`.
   */
  setFailure(didOrHandle: string, error: IdentityError | undefined): void
  /** DIDs asked for with `refresh`, in order. */
  readonly refreshed: readonly string[]
  /** DIDs purged, in order. */
  readonly purged: readonly string[]
}

/** A resolver without a network, for tests. Every handle that a document claims resolves to it. */
export function createMemoryResolver(documents: readonly DidDocument[] = []): MemoryResolver {
  const byDid = new Map(documents.map((document) => [document.id, document]))
  const refreshed: string[] = []
  const purged: string[] = []
  const failures = new Map<string, IdentityError>()

  function failAsScripted(didOrHandle: string): void {
    const failure = failures.get(didOrHandle)
    if (failure !== undefined) throw failure
  }

  function resolve(did: string): DidResolution {
    failAsScripted(did)
    const document = byDid.get(did)
    if (document === undefined) throw new DidNotFoundError(did, 'plc')
    return {
      did,
      document,
      signingKey: getSigningKey(document),
      pds: getPdsEndpoint(document, { allowHttp: true }),
      source: 'network',
      ageMs: 0,
    }
  }

  const resolver: MemoryResolver = {
    refreshed,
    purged,
    set(document) {
      byDid.set(document.id, document)
    },
    setAccount({ did, handle, signingKey, pds }) {
      byDid.set(did, {
        id: did,
        alsoKnownAs: handle === undefined ? [] : [`at://${handle}`],
        verificationMethod:
          signingKey === undefined
            ? []
            : [
                {
                  id: `${did}#atproto`,
                  type: 'Multikey',
                  controller: did,
                  publicKeyMultibase: signingKey.multibase,
                },
              ],
        service:
          pds === undefined
            ? []
            : [{ id: '#atproto_pds', type: 'AtprotoPersonalDataServer', serviceEndpoint: pds }],
      })
    },
    delete(did) {
      byDid.delete(did)
    },
    setFailure(didOrHandle, error) {
      const key = didOrHandle.startsWith('did:') ? didOrHandle : didOrHandle.toLowerCase()
      if (error === undefined) failures.delete(key)
      else failures.set(key, error)
    },
    async resolveDid(did, { signal, refresh = false } = {}) {
      await Promise.resolve()
      signal?.throwIfAborted()
      if (refresh) refreshed.push(did)
      return resolve(did)
    },
    async resolveHandle(handle, { signal } = {}) {
      await Promise.resolve()
      signal?.throwIfAborted()
      const wanted = handle.toLowerCase()
      failAsScripted(wanted)
      for (const document of byDid.values()) {
        if (getHandle(document) === wanted) {
          return { handle: wanted, did: document.id, method: 'dns', source: 'network', ageMs: 0 }
        }
      }
      throw new HandleNotFoundError(handle, 'dns')
    },
    async resolveIdentity(didOrHandle, options = {}) {
      const isDid = didOrHandle.startsWith('did:')
      const did = isDid ? didOrHandle : (await resolver.resolveHandle(didOrHandle, options)).did
      const resolution = await resolver.resolveDid(did, options)
      const handle = getHandle(resolution.document)
      const handleError =
        handle === undefined
          ? new HandleMismatchError(INVALID_HANDLE, did, 'document claims no handle')
          : failures.get(handle)
      return {
        ...resolution,
        handle: handleError === undefined && handle !== undefined ? handle : INVALID_HANDLE,
        ...(handleError === undefined ? {} : { handleError }),
      }
    },
    purge(did) {
      purged.push(did)
    },
  }
  return resolver
}
