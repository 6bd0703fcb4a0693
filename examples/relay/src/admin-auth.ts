import { createHash, timingSafeEqual } from 'node:crypto'
import { AuthRequiredError, RateLimitedError, type AuthStep } from '@skywright/xrpc'
import { callerOf, RateLimit } from './rate-limit.ts'

/** Wrong passwords an address may send in {@link GUESS_WINDOW_MS}; then it is not even told whether the next is right. */
const MAX_GUESSES = 10
const GUESS_WINDOW_MS = 900_000

/**
 * HTTP Basic for the user `admin`. Without a configured password nobody is an admin.
 *
 * @see {@link https://atproto.com/specs/xrpc#admin-token-temporary-specification}
 */
export function createAdminAuth(
  password: string | undefined,
  options: { readonly now: () => number },
): AuthStep<'admin'> {
  const guesses = new RateLimit({ limit: MAX_GUESSES, windowMs: GUESS_WINDOW_MS, ...options })
  const expected = password === undefined ? undefined : digest(`admin:${password}`)
  return ({ request }) => {
    const header = request.headers.get('authorization') ?? ''
    const caller = callerOf(request.ip)
    const retryAfterSeconds = guesses.wait(caller)
    if (retryAfterSeconds !== undefined) {
      throw new RateLimitedError('too many wrong passwords', { retryAfterSeconds })
    }
    const [scheme = '', credentials = ''] = header.split(' ')
    const given = digest(Buffer.from(credentials, 'base64').toString('utf8'))
    if (
      expected === undefined ||
      scheme.toLowerCase() !== 'basic' ||
      !timingSafeEqual(expected, given)
    ) {
      if (header !== '') guesses.take(caller)
      throw new AuthRequiredError('this method needs the admin password', {
        headers: { 'www-authenticate': 'Basic realm="relay"' },
      })
    }
    return 'admin'
  }
}

/** Digests have one length, which is what a comparison in constant time needs. */
function digest(text: string): Uint8Array {
  return createHash('sha256').update(text).digest()
}
