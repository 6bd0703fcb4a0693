import { FetchFailedError } from '../errors.ts'

/** `fetch`, as this package needs it. Hand in one that refuses private addresses where hosts are chosen by strangers. */
export type FetchLike = (url: string, init: { readonly signal: AbortSignal }) => Promise<Response>

/** Most bytes of an error answer that are read. */
const MAX_ERROR_BYTES = 16_384
/** Longest a host may ask to be left alone. */
const MAX_RETRY_AFTER_MS = 3_600_000

export interface RequestOptions {
  readonly fetch: FetchLike
  readonly signal: AbortSignal
  /** Time until the answer's head is there, and then between chunks, in milliseconds. */
  readonly timeoutMs: number
}

/** A query that failed with a name. */
export interface XrpcFailure {
  readonly error: string
  readonly status: number
}

/**
 * Asks a host. A failure that has an XRPC error name is returned, everything else is thrown.
 *
 * @throws {FetchFailedError} when there is no usable answer.
 */
export async function query(
  service: string,
  nsid: string,
  parameters: Readonly<Record<string, string>>,
  { fetch, signal, timeoutMs }: RequestOptions,
): Promise<Response | XrpcFailure> {
  const url = new URL(`/xrpc/${nsid}`, service)
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value)
  const { host } = url
  let response: Response
  try {
    response = await fetch(url.href, {
      signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
    })
  } catch (cause) {
    signal.throwIfAborted()
    throw new FetchFailedError(host, cause instanceof Error ? cause.message : 'no answer', {
      cause,
    })
  }
  if (response.ok) return response
  const { status } = response
  const error = await errorName(response)
  if (error === undefined || status === 429 || status >= 500) {
    throw new FetchFailedError(host, error ?? `HTTP ${String(status)}`, {
      status,
      retryAfterMs: retryAfterMs(response.headers.get('retry-after')),
    })
  }
  return { error, status }
}

/**
 * Reads a JSON answer of bounded size.
 *
 * @throws {FetchFailedError} when it is larger or no JSON object.
 */
export async function readJson(
  response: Response,
  host: string,
  maxBytes: number,
): Promise<Readonly<Record<string, unknown>>> {
  const text = await readText(response, maxBytes)
  if (text === undefined) throw new FetchFailedError(host, 'answer too large')
  try {
    const value: unknown = JSON.parse(text)
    // A JSON object; its fields are checked by the caller.
    if (value !== null && typeof value === 'object') return value as Record<string, unknown>
  } catch (cause) {
    throw new FetchFailedError(host, 'answer is no JSON', { cause })
  }
  throw new FetchFailedError(host, 'answer is no JSON object')
}

async function errorName(response: Response): Promise<string | undefined> {
  try {
    const text = await readText(response, MAX_ERROR_BYTES)
    const value: unknown = JSON.parse(text ?? '')
    if (value === null || typeof value !== 'object' || !('error' in value)) return undefined
    return typeof value.error === 'string' ? value.error.slice(0, 128) : undefined
  } catch {
    return undefined
  }
}

async function readText(response: Response, maxBytes: number): Promise<string | undefined> {
  const bytes = await readBytes(response, maxBytes)
  return bytes === undefined ? undefined : new TextDecoder().decode(bytes)
}

/** The body of an answer; `undefined` when it is larger. */
export async function readBytes(
  response: Response,
  maxBytes: number,
): Promise<Uint8Array | undefined> {
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of response.body ?? []) {
    chunks.push(chunk)
    length += chunk.length
    if (length > maxBytes) return undefined
  }
  const bytes = new Uint8Array(length)
  let at = 0
  for (const chunk of chunks) {
    bytes.set(chunk, at)
    at += chunk.length
  }
  return bytes
}

/** For how long `Retry-After` asks to wait, an hour at the most; `undefined` when it does not. */
export function retryAfterMs(header: string | null): number | undefined {
  if (header === null || !/^\d{1,6}$/.test(header)) return undefined
  return Math.min(MAX_RETRY_AFTER_MS, Number(header) * 1_000)
}
