import { getPdsEndpoint, getSigningKey, type IdentityResolver } from '@skywright/identity'
import type { AccountIdentity, IdentitySource } from './identity.ts'

/** Accounts remembered with a parsed key. */
const DEFAULT_MAX_IDENTITIES = 200_000
/** How long a remembered identity is used before it is looked up again. */
const DEFAULT_TTL_MS = 3_600_000

export interface IdentitySourceOptions {
  /** @defaultValue 200 000 accounts */
  readonly maxIdentities?: number
  /** @defaultValue one hour */
  readonly ttlMs?: number
  /** Take `http:` PDS endpoints as valid, for networks on one machine. @defaultValue false */
  readonly allowHttp?: boolean
  /** @defaultValue Date.now */
  readonly now?: () => number
}

interface Remembered {
  readonly identity: AccountIdentity
  readonly atMs: number
}

/**
 * Keys and hosts of accounts, from an identity resolver. Parsed keys are kept, so that an account costs one lookup an
 * hour and not one an event.
 */
export function createIdentitySource(
  resolver: Pick<IdentityResolver, 'resolveDid' | 'purge'>,
  {
    maxIdentities = DEFAULT_MAX_IDENTITIES,
    ttlMs = DEFAULT_TTL_MS,
    allowHttp = false,
    now = Date.now,
  }: IdentitySourceOptions = {},
): IdentitySource {
  const known = new Map<string, Remembered>()
  return {
    peek: (did) => {
      const entry = known.get(did)
      return entry !== undefined && now() - entry.atMs < ttlMs ? entry.identity : undefined
    },
    resolve: async (did, { refresh, signal }) => {
      const { document } = await resolver.resolveDid(did, {
        refresh,
        ...(signal === undefined ? {} : { signal }),
      })
      const identity: AccountIdentity = {
        signingKey: getSigningKey(document),
        pds: getPdsEndpoint(document, { allowHttp }),
      }
      known.delete(did)
      known.set(did, { identity, atMs: now() })
      for (const oldest of known.keys()) {
        if (known.size <= maxIdentities) break
        known.delete(oldest)
      }
      return identity
    },
    purge: (did) => {
      known.delete(did)
      resolver.purge(did)
    },
  }
}
