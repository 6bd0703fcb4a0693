import { encodeBase64Url } from './base64.ts'
import { RateLimitedError } from './errors.ts'
import type { FetchLike } from './fetch-like.ts'
import { createMemoryRateLimitStore, networkOf } from './rate-limit.ts'
import { createSession } from './session.ts'
import type { AccountResolver, Session } from './session.ts'

/** Options of {@link createSignIns}. */
export interface SignInsOptions {
  /** Finds the PDS of a handle or DID: anybody may name any server. */
  readonly resolver: AccountResolver
  /** Reaches those servers: on a server a fetch that refuses private addresses. @defaultValue the global `fetch` */
  readonly fetch?: FetchLike
  /** How long a sign-in lasts after its last use, in milliseconds. @defaultValue seven days */
  readonly ttlMs?: number
  /** Sign-ins kept; further ones push out those that were used the longest time ago. @defaultValue 10000 */
  readonly maxSignIns?: number
  /** Attempts of one address (of IPv6: network) in five minutes: nobody is used against many servers. @defaultValue 30 */
  readonly maxAttempts?: number
  /** Unix milliseconds. @defaultValue Date.now */
  readonly now?: () => number
}

/** Who is signed in to a site, in memory: the site gives the browser a secret, and the tokens never leave the process. */
export interface SignIns {
  readonly ttlMs: number
  /**
   * Signs in with a password at the account's own PDS and answers the secret, 43 characters of `[A-Za-z0-9_-]`, for a cookie
   * that is `HttpOnly`.
   *
   * @throws {RateLimitedError} after too many attempts from the address
   * @throws what `createSession` throws
   */
  signIn(login: {
    readonly identifier: string
    readonly password: string
    /** Of whoever asks; those without one share the attempts of one. */
    readonly address: string | undefined
  }): Promise<string>
  /** The session of a secret; `undefined` when there is none, or it has ended. */
  get(secret: string): Session | undefined
  /** Forgets the sign-in, then tells the PDS, which may fail. */
  signOut(secret: string): Promise<void>
}

const DEFAULT_TTL_MS = 604_800_000
const DEFAULT_SIGN_INS = 10_000
const DEFAULT_ATTEMPTS = 30
const ATTEMPT_WINDOW_MS = 300_000
const SECRET_BYTES = 32

/** Makes an empty one. */
export function createSignIns(options: SignInsOptions): SignIns {
  const { resolver, fetch, ttlMs = DEFAULT_TTL_MS, maxSignIns = DEFAULT_SIGN_INS } = options
  const { maxAttempts = DEFAULT_ATTEMPTS, now = Date.now } = options
  /** The longest unused first. */
  const entries = new Map<string, { readonly session: Session; readonly expiresAt: number }>()
  const attempts = createMemoryRateLimitStore({ now })
  const keep = (secret: string, session: Session): void => {
    entries.delete(secret)
    entries.set(secret, { session, expiresAt: now() + ttlMs })
    for (const [oldest, { expiresAt }] of entries) {
      if (entries.size <= maxSignIns && expiresAt > now()) break
      entries.delete(oldest)
    }
  }
  return {
    ttlMs,
    async signIn({ identifier, password, address }) {
      const count = await attempts.add(networkOf(address), 1, ATTEMPT_WINDOW_MS)
      if (count.used > maxAttempts)
        throw new RateLimitedError('too many attempts; try again later', {
          retryAfterSeconds: Math.max(1, (count.resetsAtMs - now()) / 1_000),
        })
      const secret = randomSecret()
      const session = await createSession({
        service: resolver,
        identifier: identifier.trim().replace(/^@/, ''),
        password,
        ...(fetch === undefined ? {} : { fetch }),
        onChange: (data) => {
          if (data === undefined) entries.delete(secret)
        },
      })
      keep(secret, session)
      return secret
    },
    get(secret) {
      const entry = entries.get(secret)
      if (entry === undefined) return undefined
      if (entry.expiresAt <= now()) {
        entries.delete(secret)
        return undefined
      }
      keep(secret, entry.session)
      return entry.session
    },
    async signOut(secret) {
      const session = entries.get(secret)?.session
      entries.delete(secret)
      await session?.logout()
    },
  }
}

function randomSecret(): string {
  return encodeBase64Url(crypto.getRandomValues(new Uint8Array(SECRET_BYTES)))
}
