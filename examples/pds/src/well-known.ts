import { createServiceDidDocument } from '@skywright/identity'
import { Router, type Request, type RequestHandler } from 'express'
import type { AccountStore } from './accounts/account-store.ts'
import { getLocalAccount } from './accounts/local-account.ts'

/** The plain HTTP routes: the server's DID document, handles by host name, and a word for visitors. */
export function wellKnown(options: {
  readonly accounts: AccountStore
  readonly did: string
  readonly url: string
}): RequestHandler {
  const { accounts, did, url } = options
  const document = createServiceDidDocument({
    did,
    services: [{ id: '#atproto_pds', type: 'AtprotoPersonalDataServer', endpoint: url }],
  })
  const router = Router()
  router.use('/.well-known', (_request, response, next) => {
    response.set('access-control-allow-origin', '*')
    next()
  })
  router.get('/.well-known/did.json', (_request, response) => {
    response.json(document)
  })
  router.get('/.well-known/atproto-did', (request, response) => {
    const host = hostName(request)
    // No host name has a colon; a DID has, and would find its account too.
    const account = host.includes(':') ? undefined : getLocalAccount(accounts, host)
    if (account === undefined) response.status(404).type('text').send('User not found')
    else response.type('text').send(account.did)
  })
  router.get('/robots.txt', (_request, response) => {
    response.type('text').send('# The public API may be crawled.\nUser-agent: *\nAllow: /\n')
  })
  router.get('/', (_request, response) => {
    response
      .type('text')
      .send(`This is an AT Protocol Personal Data Server, ${did}.\nIts API is under /xrpc/.\n`)
  })
  return router
}

/** The host a visitor asked for, without port. */
function hostName(request: Request): string {
  return (request.headers.host ?? '').replace(/:\d+$/, '').toLowerCase()
}
