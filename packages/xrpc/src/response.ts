import { toReadableStream } from './body.ts'
import { toJson } from './data-model.ts'
import { XrpcError } from './errors.ts'
import { XrpcReply } from './method.ts'
import type { XrpcResponse } from './request.ts'

const HEADER_NAME = /^[\w!#$%&'*+.^`|~-]+$/
const HEADER_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/
const JSON_TYPE = 'application/json'
const JSON_HEADERS = { 'content-type': JSON_TYPE }
/** What every 401 has to say; errors with a better challenge of their own bring it. */
const CHALLENGE = { 'www-authenticate': 'Bearer' }
const NO_HEADERS = {}

/** The answer to a failed call. Only an {@link XrpcError} below 500, or one that names itself, tells its message. */
export function errorResponse(error: unknown): XrpcResponse {
  const known = error instanceof XrpcError && error.status !== 500
  const status = known ? error.status : 500
  const body = known
    ? { error: error.error, message: error.message }
    : { error: 'InternalServerError', message: 'internal server error' }
  const challenge = status === 401 ? CHALLENGE : NO_HEADERS
  const headers = known ? { ...JSON_HEADERS, ...challenge, ...error.headers } : JSON_HEADERS
  return { status, headers, body: JSON.stringify(body) }
}

/** The answer with a handler's return value, JSON unless it is bytes. */
export function outputResponse(output: unknown, encoding: string | undefined): XrpcResponse {
  if (output instanceof XrpcReply) return replyResponse(output, encoding)
  if (output === undefined) return { status: 200, headers: NO_HEADERS, body: undefined }
  if (output instanceof Response) return fromWebResponse(output)
  if (isBytes(output)) {
    const type = concreteType(encoding) ?? 'application/octet-stream'
    return { status: 200, headers: { 'content-type': type }, body: output }
  }
  return { status: 200, headers: JSON_HEADERS, body: JSON.stringify(toJson(output)) }
}

function replyResponse(reply: XrpcReply, encoding: string | undefined): XrpcResponse {
  const { body, status, headers } = reply
  if (body === undefined) return { status, headers, body }
  const raw = typeof body === 'string' || isBytes(body)
  const type =
    reply.encoding ??
    (typeof body === 'object' && !raw
      ? JSON_TYPE
      : (concreteType(encoding) ?? 'application/octet-stream'))
  const content = raw ? body : JSON.stringify(toJson(body))
  return { status, headers: { 'content-type': type, ...headers }, body: content }
}

function concreteType(encoding: string | undefined): string | undefined {
  return encoding === undefined || encoding.includes('*') ? undefined : encoding
}

/** Whether an output is raw: bytes, or a stream of them. */
export function isBytes(value: unknown): value is Uint8Array | AsyncIterable<Uint8Array> {
  if (typeof value !== 'object' || value === null) return false
  return value instanceof Uint8Array || Symbol.asyncIterator in value
}

/** Lets go of a body that nobody will read, so that what it holds open is closed. */
export function discard(body: AsyncIterable<Uint8Array>): void {
  const { cancel, destroy } = body as {
    readonly cancel?: () => Promise<void>
    readonly destroy?: () => void
  }
  // Web and Node streams are only released by their own means before they were read.
  if (typeof cancel === 'function') cancel.call(body).catch(() => undefined)
  else if (typeof destroy === 'function') destroy.call(body)
  else {
    const stopped = body[Symbol.asyncIterator]().return?.()
    stopped?.catch(() => undefined)
  }
}

/**
 * Checks what no runtime can send: header values often repeat what users wrote, a file name or the type of a blob.
 *
 * @throws {TypeError} when status or headers cannot be sent
 */
export function checkSendable({ status, headers }: XrpcResponse): void {
  if (!Number.isInteger(status) || status < 200 || status > 599) {
    throw new TypeError(`status cannot be sent; status=${status}`)
  }
  for (const name in headers) {
    if (!HEADER_NAME.test(name) || !HEADER_VALUE.test(String(headers[name]))) {
      throw new TypeError(`header cannot be sent; name=${JSON.stringify(name)}`)
    }
  }
}

/** A Web response in the router's own shape. */
export function fromWebResponse(response: Response): XrpcResponse {
  const { status, headers, body } = response
  return { status, headers: Object.fromEntries(headers), body: body ?? undefined }
}

/** The router's answer as a Web response. */
export function toWebResponse(response: XrpcResponse): Response {
  const { status, headers, body } = response
  const init = { status, headers }
  if (body === undefined || typeof body === 'string') return new Response(body ?? null, init)
  if (body instanceof Uint8Array) return new Response(body as Uint8Array<ArrayBuffer>, init)
  return new Response(toReadableStream(body), init)
}
