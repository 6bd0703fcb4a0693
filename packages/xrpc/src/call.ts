/** A call on its way through the router, and what its path and verb have to be. */
import type { CallContext } from './call-context.ts'
import type { CompiledMethod } from './compiled-method.ts'
import { InvalidRequestError, NotFoundError, XrpcError } from './errors.ts'
import type { XrpcErrorOptions } from './errors.ts'
import type { AnyContext } from './method.ts'
import type { XrpcRequest } from './request.ts'

const PREFIX = '/xrpc/'
/** Letters, digits, hyphens and at least two dots: enough to tell a method name from anything else. */
const METHOD_NAME = /^[a-zA-Z][a-zA-Z0-9-]*(?:\.[a-zA-Z0-9-]+){2,}$/
const MAX_NSID_LENGTH = 317

/** Whether a path is one that a router answers. */
export function isXrpcPath(url: string): boolean {
  return url.startsWith(PREFIX)
}

/** What the router knows of every call. */
export class Call implements CallContext {
  readonly nsid: string
  readonly request: XrpcRequest
  /** What the answer says about the limits that were checked. */
  limitHeaders: Readonly<Record<string, string>> | undefined = undefined
  constructor(nsid: string, request: XrpcRequest) {
    this.nsid = nsid
    this.request = request
  }
  get signal(): AbortSignal {
    return this.request.signal
  }
}

/** What a handler gets, filled in step by step. */
export class Context extends Call implements AnyContext {
  readonly params: Readonly<Record<string, unknown>>
  readonly error: AnyContext['error'] = lexiconError
  auth: unknown = undefined
  input: unknown = undefined
  encoding: string | undefined = undefined
  constructor(call: Call, params: Readonly<Record<string, unknown>>) {
    super(call.nsid, call.request)
    this.params = params
  }
}

function lexiconError(
  name: string,
  message?: string,
  options: XrpcErrorOptions & { readonly status?: number } = {},
): XrpcError {
  return new XrpcError(options.status ?? 400, name, message, options)
}

/** Method name and query string of a path; the name is empty when it is no XRPC path. */
export function splitUrl(url: string): { nsid: string; query: string } {
  const question = url.indexOf('?')
  const path = question === -1 ? url : url.slice(0, question)
  const query = question === -1 ? '' : url.slice(question + 1)
  return { nsid: path.startsWith(PREFIX) ? path.slice(PREFIX.length) : '', query }
}

/** @throws {XrpcError} 404 or 400 when a path names no method */
export function checkName(nsid: string): void {
  if (nsid === '') throw new NotFoundError('not an XRPC path')
  if (nsid.length > MAX_NSID_LENGTH || !METHOD_NAME.test(nsid)) {
    throw new InvalidRequestError('not a method name')
  }
}

/**
 * @throws {XrpcError} 405 when a method is not called this way; when it is a subscription, 426, or 501 when the caller did ask
 *   for a WebSocket and nothing here makes one
 */
export function checkVerb(
  method: CompiledMethod,
  { method: verb, headers }: Pick<XrpcRequest, 'method' | 'headers'>,
): void {
  if (method.type === 'procedure') {
    if (verb !== 'POST') throw wrongVerb('POST')
  } else if (verb !== 'GET' && (verb !== 'HEAD' || method.type === 'subscription')) {
    throw wrongVerb('GET')
  }
  if (method.type === 'subscription') {
    if (headers.get('upgrade')?.toLowerCase() === 'websocket') throw notImplemented(method.nsid)
    throw new XrpcError(426, 'UpgradeRequired', 'this method is a WebSocket subscription', {
      headers: { upgrade: 'websocket', connection: 'upgrade' },
    })
  }
}

/** 405. */
export function wrongVerb(allowed: string): XrpcError {
  return new XrpcError(405, 'InvalidRequest', `this method is called by ${allowed}`, {
    headers: { allow: allowed },
  })
}

/** 501. */
export function notImplemented(nsid: string): XrpcError {
  return new XrpcError(501, 'MethodNotImplemented', `method not implemented; nsid=${nsid}`)
}
