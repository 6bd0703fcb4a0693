import { createHash, timingSafeEqual } from 'node:crypto'
import { AuthRequiredError, type AuthStep } from '@skywright/xrpc'

/**
 * HTTP Basic for the user `admin`. Without a configured password nobody is an admin.
 *
 * @see {@link https://atproto.com/specs/xrpc#admin-token-temporary-specification}
 */
export function createAdminAuth(password: string | undefined): AuthStep<'admin'> {
  const expected = password === undefined ? undefined : digest(`admin:${password}`)
  return ({ request }) => {
    const header = request.headers.get('authorization') ?? ''
    const [scheme = '', credentials = ''] = header.split(' ')
    const given = digest(Buffer.from(credentials, 'base64').toString('utf8'))
    if (
      expected === undefined ||
      scheme.toLowerCase() !== 'basic' ||
      !timingSafeEqual(expected, given)
    ) {
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
