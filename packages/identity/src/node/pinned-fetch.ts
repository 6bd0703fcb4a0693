import { Agent as HttpAgent, request as httpRequest } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import type { LookupFunction } from 'node:net'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { ReadableStream as NodeReadableStream } from 'node:stream/web'
import { callbackify } from 'node:util'
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib'
import { ForbiddenAddressError } from '../errors.ts'
import { isPublicAddress } from '../public-address.ts'
import { defaultAddresses } from './dns-addresses.ts'
import type { ResolveAddresses } from './dns-addresses.ts'

/** Options of {@link createPinnedFetch}. */
export interface PinnedFetchOptions {
  /** Whether addresses outside the public internet may be connected to. */
  readonly allowPrivate: boolean
  /** @defaultValue DNS; with private addresses allowed, the system's resolver */
  readonly resolveAddresses?: ResolveAddresses | undefined
  /** Connections kept per host. @defaultValue 8 */
  readonly maxSocketsPerHost?: number | undefined
}

const DEFAULT_MAX_SOCKETS = 8
/** Idle connections kept over all hosts. */
const MAX_FREE_SOCKETS = 64
const IDLE_TIMEOUT_MS = 15_000
/** Bytes of response headers; Node's own default, written down. */
const MAX_HEADER_BYTES = 16_384

const NULL_BODY_STATUSES = new Set([101, 103, 204, 205, 304])

/**
 * One hop of fetch over Node's http and https, with the address that was checked being the address that is connected
 * to: there is one DNS lookup, and its answer goes to the socket. Follows no redirects.
 */
export function createPinnedFetch(options: PinnedFetchOptions): typeof globalThis.fetch {
  const {
    allowPrivate,
    resolveAddresses = defaultAddresses(allowPrivate),
    maxSocketsPerHost: maxSockets = DEFAULT_MAX_SOCKETS,
  } = options
  const lookup = createCheckedLookup(resolveAddresses, allowPrivate)
  const agentOptions = {
    keepAlive: true,
    maxSockets,
    maxFreeSockets: MAX_FREE_SOCKETS,
    timeout: IDLE_TIMEOUT_MS,
  }
  const httpAgent = new HttpAgent(agentOptions)
  const httpsAgent = new HttpsAgent(agentOptions)

  return async (input, init) => {
    const request = new Request(input, init)
    // Not the request's own signal, where there is the caller's: that one dies with the request.
    const signal = init?.signal ?? request.signal
    const url = new URL(request.url)
    const secure = url.protocol === 'https:'
    const message = await new Promise<IncomingMessage>((resolve, reject) => {
      const outgoing = (secure ? httpsRequest : httpRequest)(url, {
        agent: secure ? httpsAgent : httpAgent,
        lookup,
        method: request.method,
        maxHeaderSize: MAX_HEADER_BYTES,
        headers: { 'accept-encoding': 'gzip, deflate, br', ...Object.fromEntries(request.headers) },
      })
      const abort = (): void => {
        outgoing.destroy()
        reject(signal.reason)
      }
      if (signal.aborted) abort()
      signal.addEventListener('abort', abort, { once: true })
      outgoing.once('response', (answer) => {
        signal.removeEventListener('abort', abort)
        failOnAbort(answer, signal)
        resolve(answer)
      })
      outgoing.on('error', reject)
      // A server that switches protocols unasked gets neither a response nor an error out of Node.
      outgoing.once('close', () => {
        signal.removeEventListener('abort', abort)
        reject(new Error('connection closed without an answer'))
      })
      if (request.body === null) outgoing.end()
      // Node and the Web describe the same stream with two type declarations.
      else pipeline(Readable.fromWeb(request.body as NodeReadableStream), outgoing).catch(reject)
    })
    try {
      return toResponse(message)
    } catch (error) {
      // A status or header that a Response cannot hold. Nobody will read the body.
      message.destroy()
      throw error
    }
  }
}

/** Makes a body end with the signal's reason when it is aborted, not with that of the connection that is cut off for it. */
function failOnAbort(message: IncomingMessage, signal: AbortSignal): void {
  const abort = (): void => {
    const { reason } = signal
    message.destroy(reason instanceof Error ? reason : new Error('aborted', { cause: reason }))
  }
  if (signal.aborted) abort()
  signal.addEventListener('abort', abort, { once: true })
  message.once('close', () => {
    signal.removeEventListener('abort', abort)
  })
}

function toResponse(message: IncomingMessage): Response {
  const status = message.statusCode ?? 502
  const headers = new Headers()
  for (const [name, values] of Object.entries(message.headersDistinct)) {
    for (const value of values ?? []) headers.append(name, value)
  }
  if (NULL_BODY_STATUSES.has(status)) {
    // Node sees to it that the others have no body; this one may have one, without end.
    if (status === 205) message.destroy()
    else message.resume()
    return new Response(null, { status, headers })
  }
  const body = decoded(message)
  if (body !== message) {
    headers.delete('content-encoding')
    headers.delete('content-length')
  }
  return new Response(toWebStream(body), { status, headers })
}

/**
 * A body as the Web has it. `Readable.toWeb` does not do: what it still holds when a body is cancelled and cut off at
 * once is an exception that nobody can catch.
 */
function toWebStream(body: Readable): ReadableStream<Uint8Array> {
  const chunks: AsyncIterator<Buffer> = body[Symbol.asyncIterator]()
  return new ReadableStream(
    {
      async pull(controller) {
        const { done, value } = await chunks.next()
        if (done === true) controller.close()
        else controller.enqueue(new Uint8Array(value.buffer, value.byteOffset, value.byteLength))
      },
      cancel() {
        body.destroy()
      },
    },
    { highWaterMark: 0 },
  )
}

function decoded(message: IncomingMessage): Readable {
  const decoder = createDecoder(message.headers['content-encoding'])
  if (decoder === undefined) return message
  // A failure destroys both ends, so the reader of the decoder sees it.
  pipeline(message, decoder).catch((error: unknown) => {
    decoder.destroy(error instanceof Error ? error : undefined)
  })
  return decoder
}

function createDecoder(encoding: string | undefined): ReturnType<typeof createGunzip> | undefined {
  switch (encoding?.toLowerCase()) {
    case 'gzip':
    case 'x-gzip':
      return createGunzip()
    case 'deflate':
      return createInflate()
    case 'br':
      return createBrotliDecompress()
    default:
      return undefined
  }
}

/** A `lookup` for sockets that gives only addresses that may be connected to. */
export function createCheckedLookup(
  resolveAddresses: ResolveAddresses,
  allowPrivate: boolean,
): LookupFunction {
  const withCallback = callbackify(resolveAddresses)
  return (hostname, { all }, callback) => {
    withCallback(hostname, (error, addresses) => {
      if (error !== null) {
        callback(error, '', 0)
        return
      }
      const refused = allowPrivate
        ? undefined
        : addresses.find(({ address }) => !isPublicAddress(address))
      const [first] = addresses
      if (refused !== undefined) {
        callback(
          new ForbiddenAddressError(hostname, 'name leads to an address that is not public'),
          '',
          0,
        )
      } else if (first === undefined) {
        callback(Object.assign(new Error('no address'), { code: 'ENOTFOUND' }), '', 0)
      } else if (all === true) {
        callback(null, [...addresses])
      } else {
        callback(null, first.address, first.family)
      }
    })
  }
}
