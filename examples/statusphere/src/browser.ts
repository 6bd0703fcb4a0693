import type { Request, RequestHandler } from 'express'
import { RefusedError } from './failure.ts'

/** Only what this server sends is loaded or run, nobody frames it, and its forms lead back to it. */
export const PAGE_HEADERS: Readonly<Record<string, string>> = {
  'content-security-policy':
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; " +
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'same-origin',
  'cache-control': 'no-store',
}

/** Browsers say where a form comes from. Those of other sites, other ports of this host included, change nothing. */
export const sameOriginOnly: RequestHandler = (request, _response, next) => {
  const site = request.get('sec-fetch-site')
  const own = `${request.protocol}://${request.host}`
  if (site === undefined ? request.get('origin') === own : site === 'same-origin') next()
  else throw new RefusedError(403, 'This form was sent from another site.')
}

/** One field of a form, empty when it is absent or there are several. */
export function fieldOf(request: Request, name: string): string {
  const value = (request.body as Readonly<Record<string, unknown>> | undefined)?.[name]
  return typeof value === 'string' ? value : ''
}
