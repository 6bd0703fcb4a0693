import type { XrpcRequest, XrpcResponse } from './request.ts'

/** What browsers may read besides the few headers they always can. */
const EXPOSED = [
  'atproto-content-labelers',
  'atproto-repo-rev',
  'dpop-nonce',
  'ratelimit-limit',
  'ratelimit-policy',
  'ratelimit-remaining',
  'ratelimit-reset',
  'retry-after',
  'www-authenticate',
].join(', ')
const HEADERS: Readonly<Record<string, string>> = {
  'access-control-allow-origin': '*',
  'access-control-expose-headers': EXPOSED,
}
/** A day, which browsers shorten to their own bound. */
const MAX_AGE_SECONDS = 86_400
const HEADER_NAMES = /^[\w!#$%&'*+.^`|~, -]*$/

/** Headers that let pages of any origin read an answer. Credentials travel in `authorization`, never in cookies. */
export function corsHeaders(): Readonly<Record<string, string>> {
  return HEADERS
}

/** The answer to a preflight: any origin, any header asked for. */
export function preflight(request: XrpcRequest): XrpcResponse {
  const asked = request.headers.get('access-control-request-headers') ?? ''
  return {
    status: 204,
    headers: {
      ...HEADERS,
      'access-control-allow-methods': 'GET, HEAD, POST, OPTIONS',
      'access-control-allow-headers': HEADER_NAMES.test(asked) && asked !== '' ? asked : '*',
      'access-control-max-age': String(MAX_AGE_SECONDS),
      vary: 'access-control-request-headers',
    },
    body: undefined,
  }
}
