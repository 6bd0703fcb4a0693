import { createHash, timingSafeEqual } from 'node:crypto'
import type { IdentityResolver } from '@skywright/identity'
import {
  type AuthContext,
  AuthRequiredError,
  type AuthStep,
  createServiceAuthVerifier,
  RateLimitedError,
} from '@skywright/xrpc'
import { callerOf, RateLimit } from './rate-limit.ts'

/** Wrong credentials an address may send in {@link GUESS_WINDOW_MS}; then it is not even told whether the next are right. */
const MAX_GUESSES = 10
const GUESS_WINDOW_MS = 900_000

/** Accounts whose service tokens open the admin methods. */
export interface AdminAccounts {
  /** What the tokens must be made for. */
  readonly serviceDid: string
  readonly dids: readonly string[]
  readonly resolver: Pick<IdentityResolver, 'resolveDid'>
}

export interface AdminAuthOptions {
  /** Of the user `admin`; without one nobody gets in by a password. */
  readonly password: string | undefined
  /** Without any, nobody gets in by a token. */
  readonly accounts?: AdminAccounts | undefined
  readonly now: () => number
}

/** @throws {AuthRequiredError} when the credentials are not good. */
type Check = (call: AuthContext) => void | Promise<void>

/**
 * Lets the operator in: by HTTP Basic as the user `admin`, or by a service token of an admin's account, signed with its
 * `#atproto` key for this one service and method, and good once.
 *
 * Who sends wrong ones again and again is not heard for a while. DIDs of strangers are never resolved.
 *
 * @see {@link https://atproto.com/specs/xrpc#admin-token-temporary-specification}
 * @see {@link https://atproto.com/specs/xrpc#inter-service-authentication-jwt}
 */
export function createAdminAuth({ password, accounts, now }: AdminAuthOptions): AuthStep<'admin'> {
  const guesses = new RateLimit({ limit: MAX_GUESSES, windowMs: GUESS_WINDOW_MS, now })
  const checks = new Map<string, Check>([['basic', createPasswordCheck(password)]])
  if (accounts !== undefined) checks.set('bearer', createTokenCheck(accounts, now))
  return async (call) => {
    const caller = callerOf(call.request.ip)
    const retryAfterSeconds = guesses.wait(caller)
    if (retryAfterSeconds !== undefined) {
      throw new RateLimitedError('too many wrong credentials', { retryAfterSeconds })
    }
    const header = call.request.headers.get('authorization') ?? ''
    const [scheme = ''] = header.split(' ')
    try {
      await (checks.get(scheme.toLowerCase()) ?? refuse)(call)
    } catch (error) {
      if (error instanceof AuthRequiredError && header !== '') guesses.take(caller)
      throw error
    }
    return 'admin' as const
  }
}

function createPasswordCheck(password: string | undefined): Check {
  const expected = password === undefined ? undefined : digest(`admin:${password}`)
  return ({ request }) => {
    const [, credentials = ''] = (request.headers.get('authorization') ?? '').split(' ')
    const given = digest(Buffer.from(credentials, 'base64').toString('utf8'))
    if (expected === undefined || !timingSafeEqual(expected, given)) refuse()
  }
}

function createTokenCheck({ serviceDid, dids, resolver }: AdminAccounts, now: () => number): Check {
  const admins = new Set(dids)
  const { required } = createServiceAuthVerifier({
    audience: [serviceDid],
    resolver: {
      resolveDid: (did, options) =>
        admins.has(did)
          ? resolver.resolveDid(did, options)
          : Promise.reject(new Error(`not an admin of this relay; did=${did}`)),
    },
    now,
  })
  return async (call) => {
    await required(call)
  }
}

function refuse(): never {
  throw new AuthRequiredError('this method is for the admin', {
    headers: { 'www-authenticate': 'Basic realm="relay"' },
  })
}

/** Digests have one length, which is what a comparison in constant time needs. */
function digest(text: string): Uint8Array {
  return createHash('sha256').update(text).digest()
}
