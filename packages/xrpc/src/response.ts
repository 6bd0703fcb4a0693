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
/** Statuses that HTTP gives no body. */
const BODILESS: ReadonlySet<number> = new Set([204, 205, 304])
/** How an answer travelled to us: `fetch` has undone it, and what is sent on travels in its own way. */
const TRAVEL_HEADERS = [
  'connection',
  'content-encoding',
  'content-length',
  'keep-alive',
  'transfer-encoding',
] as const

/** The answer to a failed call. Only an {@link XrpcError} below 500, or one that names itself, tells its message. */
export function errorResponse(error: unknown): XrpcResponse {
  const known = error instanceof XrpcError && error.status !== 500
  const status = known ? error.status : 500
  const body = known
    ? { error: error.error, message: error.message }
    : { error: 'InternalServerError', message: 'internal server error' }
  const challenge = status === 401 ? CHALLENGE : NO_HEADERS
  const headers = known
    ? { ...JSON_HEADERS, ...challenge, ...lowerCase(error.headers) }
    : JSON_HEADERS
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
  const { body, status } = reply
  const headers = lowerCase(reply.headers)
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

/** Names in lower case, so that the same header is never there twice. */
function lowerCase(headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const names = Object.keys(headers)
  if (names.every((name) => name === name.toLowerCase())) return headers
  return Object.fromEntries(names.map((name) => [name.toLowerCase(), headers[name] ?? '']))
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
 * @throws {TypeError} when status or headers cannot be sent, or the status has no body and the answer does
 */
export function checkSendable({ status, headers, body }: XrpcResponse): void {
  if (!Number.isInteger(status) || status < 200 || status > 599) {
    throw new TypeError(`status cannot be sent; status=${status}`)
  }
  if (body !== undefined && BODILESS.has(status)) {
    throw new TypeError(`status has no body; status=${status}`)
  }
  for (const name in headers) {
    const value: unknown = headers[name]
    if (typeof value !== 'string' || !HEADER_NAME.test(name) || !HEADER_VALUE.test(value)) {
      throw new TypeError(`header cannot be sent; name=${JSON.stringify(name)}`)
    }
  }
}

/** A Web response in the router's own shape. One that came from `fetch` is passed on as it reads, not as it travelled. */
export function fromWebResponse(response: Response): XrpcResponse {
  const { status, url, body } = response
  const headers = Object.fromEntries(response.headers)
  if (url !== '') for (const name of TRAVEL_HEADERS) delete headers[name]
  return { status, headers, body: body ?? undefined }
}

/** The router's answer as a Web response. */
export function toWebResponse(response: XrpcResponse): Response {
  const { status, headers, body } = response
  const init = { status, headers }
  if (body === undefined || typeof body === 'string') return new Response(body ?? null, init)
  if (body instanceof Uint8Array) return new Response(body as Uint8Array<ArrayBuffer>, init)
  return new Response(toReadableStream(body), init)
}
