import { concat } from 'uint8arrays/concat'
import type { CompiledMethod } from './compiled-method.ts'
import { InvalidDataError, InvalidRequestError, ValidationError, XrpcError } from './errors.ts'
import type { XrpcRequest } from './request.ts'

/** 1 MiB, which holds the largest record of the protocol in JSON. */
export const MAX_JSON_BYTES = 1_048_576
/** 100 MiB: above the largest blob that Bluesky's own hosts take. */
export const MAX_BINARY_BYTES = 104_857_600

/** Bounds of {@link readInput}, in bytes after decompression. */
export interface InputLimits {
  readonly maxJsonBytes: number
  readonly maxBinaryBytes: number
}

/** The input of a procedure. */
export interface Input {
  readonly input: unknown
  readonly encoding: string | undefined
}

/** Content type without parameters, lower case. */
export function parseMediaType(header: string | null): string | undefined {
  if (header === null) return undefined
  const semicolon = header.indexOf(';')
  const type = (semicolon === -1 ? header : header.slice(0, semicolon)).trim().toLowerCase()
  return /^[a-z0-9!#$&^_.+-]+\/[a-z0-9!#$&^_.+-]+$/.test(type) ? type : undefined
}

/** Whether a content type fits one of the lexicon's, where `*` stands for any part. */
export function matchesEncoding(type: string, accepted: readonly string[]): boolean {
  return accepted.some((pattern) => {
    if (pattern === '*/*' || pattern === type) return true
    return pattern.endsWith('/*') && type.startsWith(pattern.slice(0, -1))
  })
}

/**
 * Reads the body of a procedure call: checked JSON, or a bounded stream of bytes.
 *
 * @throws {XrpcError} 400 when it does not match the lexicon, 413 when too large, 415 when of another type
 */
export async function readInput(
  method: CompiledMethod,
  request: XrpcRequest,
  limits: InputLimits,
): Promise<Input> {
  const accepted = method.inputEncodings
  const type = parseMediaType(request.headers.get('content-type'))
  if (accepted.length === 0) {
    if (request.body !== null && (await hasContent(request.body))) {
      throw new InvalidRequestError('a request body was sent and none is expected')
    }
    return { input: undefined, encoding: undefined }
  }
  if (request.body === null && (type === undefined || type === 'application/json')) {
    throw new InvalidRequestError('a request body is expected')
  }
  if (type === undefined) {
    throw new InvalidRequestError('request content-type is missing or malformed')
  }
  if (!matchesEncoding(type, accepted)) {
    throw new XrpcError(415, 'InvalidRequest', `request content-type not accepted: ${type}`)
  }
  const isJson = type === 'application/json' && method.hasInputSchema
  const maxBytes = isJson ? limits.maxJsonBytes : limits.maxBinaryBytes
  const body = boundedBody(request, maxBytes)
  if (!isJson) return { input: body, encoding: type }
  return { input: checkedInput(method, parseJson(await collect(body))), encoding: type }
}

/** Reads a whole body into one array. The body brings its own bound. */
export async function collect(body: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of body) {
    chunks.push(chunk)
    length += chunk.length
  }
  return concat(chunks, length)
}

function checkedInput(method: CompiledMethod, json: unknown): unknown {
  try {
    return method.readInput(json)
  } catch (cause) {
    if (cause instanceof ValidationError || cause instanceof InvalidDataError) {
      throw new InvalidRequestError(cause.message, { cause })
    }
    throw cause
  }
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch (cause) {
    throw new InvalidRequestError('request body is not JSON', { cause })
  }
}

async function hasContent(body: AsyncIterable<Uint8Array>): Promise<boolean> {
  for await (const chunk of body) {
    if (chunk.length > 0) return true
  }
  return false
}

/** The body decompressed, failing as soon as it is longer than `maxBytes`. */
function boundedBody(request: XrpcRequest, maxBytes: number): AsyncIterable<Uint8Array> {
  const coding = request.headers.get('content-encoding')?.trim().toLowerCase() ?? 'identity'
  const declared = Number(request.headers.get('content-length') ?? 0)
  if (declared > maxBytes) throw tooLarge(maxBytes)
  const raw = request.body ?? empty()
  if (coding === 'identity') return bounded(raw, maxBytes)
  if (coding !== 'gzip' && coding !== 'deflate') {
    throw new XrpcError(415, 'InvalidRequest', 'request content-encoding not accepted')
  }
  // The compressed form is bounded too, so that neither side of the decompressor can grow without end.
  return bounded(decompress(bounded(raw, maxBytes), coding), maxBytes)
}

async function* bounded(
  body: AsyncIterable<Uint8Array>,
  maxBytes: number,
): AsyncGenerator<Uint8Array, void, void> {
  let length = 0
  try {
    for await (const chunk of body) {
      length += chunk.length
      if (length > maxBytes) throw tooLarge(maxBytes)
      yield chunk
    }
  } catch (cause) {
    if (cause instanceof XrpcError) throw cause
    throw new InvalidRequestError('request body broke off or is malformed', { cause })
  }
}

async function* empty(): AsyncGenerator<Uint8Array, void, void> {}

function decompress(
  body: AsyncIterable<Uint8Array>,
  coding: 'gzip' | 'deflate',
): AsyncIterable<Uint8Array> {
  return toReadableStream(body).pipeThrough(
    new DecompressionStream(coding) as unknown as ReadableWritablePair<Uint8Array, Uint8Array>,
  )
}

function tooLarge(maxBytes: number): XrpcError {
  return new XrpcError(413, 'PayloadTooLarge', `request body is longer than ${maxBytes} bytes`)
}

/** A Web stream that pulls from an iterable, chunk by chunk, and releases it when cancelled. */
export function toReadableStream(body: AsyncIterable<Uint8Array>): ReadableStream<Uint8Array> {
  const iterator = body[Symbol.asyncIterator]()
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { done, value } = await iterator.next()
      if (done === true) controller.close()
      else controller.enqueue(value)
    },
    async cancel(reason) {
      await iterator.return?.(reason)
    },
  })
}
