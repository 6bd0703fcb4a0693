/**
 * The router inside an Express 5 application.
 *
 * @packageDocumentation
 */
import type { RequestHandler } from 'express'
import type { Router } from '../router.ts'
import { isXrpcPath } from '../call.ts'
import { fromNode, pathOf, writeNode } from './node-request.ts'
import type { WriteOptions } from './node-request.ts'

/**
 * Serves a router as Express middleware: `app.use(createExpressHandler(router))`. Paths outside `/xrpc/` go on to the
 * next handler. The caller's address is `request.ip`, so Express's own `trust proxy` setting applies.
 *
 * Mount it before body parsers: XRPC bodies are read, bounded and checked by the router.
 */
export function createExpressHandler(
  router: Pick<Router<unknown>, 'handle'>,
  options: WriteOptions = {},
): RequestHandler {
  return (request, response, next) => {
    const url = pathOf(request.originalUrl)
    if (!isXrpcPath(url)) {
      next()
      return
    }
    if (request.readableEnded && request.body !== undefined) {
      next(new TypeError('the XRPC router must be mounted before body parsers'))
      return
    }
    const neutral = fromNode(request, response, url, () => request.ip)
    void router.handle(neutral).then((answer) => writeNode(answer, request, response, options))
  }
}
