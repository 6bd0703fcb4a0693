import { randomBytes } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { IdentityResolver } from '@skywright/identity'
import { createMemoryRateLimitStore, createSession, type Session, XrpcError } from '@skywright/xrpc'
import { RefusedError } from './failure.ts'

/** How long a sign-in lasts after the last visit: seven days. */
export const SIGN_IN_TTL_MS = 604_800_000
/** Further sign-ins push out those that were used the longest time ago. */
const MAX_SIGN_INS = 10_000
/** Attempts of one address in five minutes. Each PDS has its own limit; this keeps us from being used against many. */
const MAX_ATTEMPTS = 30
const ATTEMPT_WINDOW_MS = 300_000

/** Somebody who is signed in. */
export interface SignedIn {
  readonly session: Session
  /** As it was checked at the sign-in; `undefined` when the account has none that is valid. */
  readonly handle: string | undefined
}

/** Who is signed in, in memory: the tokens of a PDS never leave this process. */
export interface SignIns {
  /**
   * Signs in at the PDS of a handle or DID, and returns the secret for the cookie.
   *
   * @throws {RefusedError} when there were too many attempts, or the account is not what it says
   * @throws what `resolveIdentity` and `createSession` throw
   */
  signIn(identifier: string, password: string, address: string): Promise<string>
  get(secret: string): SignedIn | undefined
  /** Forgets the sign-in, then tells the PDS, which may fail. */
  signOut(secret: string): Promise<void>
}

/** `fetch` is for the URLs of strangers: anybody can name any PDS. */
export function createSignIns(resolver: IdentityResolver, fetch: typeof globalThis.fetch): SignIns {
  const signIns = new LRUCache<string, SignedIn>({
    max: MAX_SIGN_INS,
    ttl: SIGN_IN_TTL_MS,
    updateAgeOnGet: true,
  })
  const attempts = createMemoryRateLimitStore()
  return {
    async signIn(identifier, password, address) {
      const { used } = await attempts.add(address, 1, ATTEMPT_WINDOW_MS)
      if (used > MAX_ATTEMPTS) throw new RefusedError(429, 'Too many attempts. Try again later.')
      const { did, handle, handleError, pds } = await resolver.resolveIdentity(identifier)
      if (pds === undefined) throw new RefusedError(400, 'This account has no PDS.')
      const secret = randomBytes(32).toString('base64url')
      const session = await createSession({
        service: pds,
        identifier: did,
        password,
        fetch,
        onChange: (tokens) => void (tokens === undefined && signIns.delete(secret)),
      }).catch(refusePassword)
      // The PDS decides who knows the password, not who they are.
      if (session.did !== did) throw new RefusedError(502, 'The PDS answered for someone else.')
      signIns.set(secret, { session, handle: handleError === undefined ? handle : undefined })
      return secret
    },
    get: (secret) => signIns.get(secret),
    async signOut(secret) {
      const signedIn = signIns.get(secret)
      signIns.delete(secret)
      await signedIn?.session.logout()
    },
  }
}

function refusePassword(error: unknown): never {
  if (error instanceof XrpcError && error.error === 'AuthenticationRequired')
    throw new RefusedError(401, 'That is not the password.', { cause: error })
  throw error
}
