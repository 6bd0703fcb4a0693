import { fetchBounded } from '../bounded-fetch.ts'
import type { BoundedResponse } from '../bounded-fetch.ts'
import { parseDidDocument } from '../did-document.ts'
import type { DidDocument } from '../did-document.ts'
import { isPlcDid } from '../did.ts'
import {
  DidDeactivatedError,
  DidNotFoundError,
  IdentityError,
  InvalidSyntaxError,
  PlcRequestFailedError,
} from '../errors.ts'
import { readRetryAfterMs } from '../retry-after.ts'
import { parsePlcData, parsePlcOperation } from './operation.ts'
import type { AnyPlcOperation, PlcDocumentData, PlcLogEntry } from './operation.ts'

/** The directory everybody uses. */
export const DEFAULT_PLC_URL = 'https://plc.directory'

const DEFAULT_TIMEOUT_MS = 10_000
/** Bytes of one document; an operation has at most 7,500. */
const MAX_DOCUMENT_BYTES = 65_536
/** Bytes of one DID's log. */
const MAX_LOG_BYTES = 8_388_608
/** Bytes of one export page of 1,000 lines. */
const MAX_EXPORT_BYTES = 33_554_432

/** Options of {@link createPlcClient}. */
export interface PlcClientOptions {
  /**
   * Origin of the directory.
   * @defaultValue `https://plc.directory`
   */
  readonly url?: string
  /** @defaultValue `globalThis.fetch` */
  readonly fetch?: typeof globalThis.fetch
  /**
   * Time allowed for one request, in milliseconds.
   * @defaultValue 10000
   */
  readonly timeoutMs?: number
  /**
   * The clock that a `retry-after` given as a date is measured by.
   * @defaultValue `Date.now`
   */
  readonly now?: () => number
}

/** Options of every request. */
export interface PlcRequestOptions {
  readonly signal?: AbortSignal
}

/** One line of `/export`. */
export interface PlcExportEntry {
  /** `sequenced_op` in pages asked for by seq. */
  readonly type?: 'sequenced_op'
  /** Only in pages asked for by seq. Belongs to this directory: a mirror numbers differently. */
  readonly seq?: number
  readonly did: string
  readonly operation: AnyPlcOperation
  readonly cid: string
  readonly createdAt: string
  /** Only in pages asked for by time. */
  readonly nullified?: boolean
}

/**
 * Speaks to one PLC directory. Answers are bounded and their shape is checked, not their proofs: for those give
 * {@link PlcClient.auditLog} to `verifyAuditLog`.
 *
 * Every method rejects with
 * {@link DidNotFoundError} (404), {@link DidDeactivatedError} (410),
 * {@link PlcRequestFailedError} (refused, or no answer: see `retryable` and `retryAfterMs`),
 * {@link InvalidSyntaxError} (not a did:plc), or the error of the shape that was wrong.
 */
export interface PlcClient {
  readonly url: string
  /** The DID document. */
  resolve(did: string, options?: PlcRequestOptions): Promise<DidDocument>
  /** The current state, with its rotation keys. */
  data(did: string, options?: PlcRequestOptions): Promise<PlcDocumentData>
  /** The surviving operations, genesis first. */
  log(did: string, options?: PlcRequestOptions): Promise<readonly AnyPlcOperation[]>
  /** All operations with the directory's times, undone ones too. */
  auditLog(did: string, options?: PlcRequestOptions): Promise<readonly PlcLogEntry[]>
  lastOperation(did: string, options?: PlcRequestOptions): Promise<AnyPlcOperation>
  /** Sends a signed operation. */
  submit(did: string, operation: AnyPlcOperation, options?: PlcRequestOptions): Promise<void>
  /**
   * One page of every operation the directory has, oldest first; at most `count` (1,000). `after` is a seq (start
   * with 0) or an ISO time (the older form, without seq).
   */
  exportPage(
    options?: PlcRequestOptions & { readonly after?: number | string; readonly count?: number },
  ): Promise<readonly PlcExportEntry[]>
  /** Whether the directory says it is well. */
  isHealthy(options?: PlcRequestOptions): Promise<boolean>
}

/** A client of one directory. */
export function createPlcClient(options: PlcClientOptions = {}): PlcClient {
  const {
    url = DEFAULT_PLC_URL,
    fetch = globalThis.fetch,
    timeoutMs = DEFAULT_TIMEOUT_MS,
    now = Date.now,
  } = options
  const origin = url.replace(/\/+$/, '')

  async function request(
    path: string,
    maxBytes: number,
    signal: AbortSignal | undefined,
    json?: unknown,
  ): Promise<BoundedResponse> {
    try {
      return await fetchBounded(`${origin}${path}`, {
        fetch,
        timeoutMs,
        maxBytes,
        redirect: 'manual',
        method: json === undefined ? 'GET' : 'POST',
        signal,
        ...(json === undefined ? {} : { json }),
      })
    } catch (cause) {
      signal?.throwIfAborted()
      if (cause instanceof IdentityError) throw cause
      throw new PlcRequestFailedError(undefined, 'no answer', { cause })
    }
  }

  async function get(
    did: string,
    path: string,
    maxBytes: number,
    { signal }: PlcRequestOptions,
  ): Promise<unknown> {
    if (!isPlcDid(did)) throw new InvalidSyntaxError('did', did, 'not a did:plc')
    const response = await request(`/${did}${path}`, maxBytes, signal)
    checkStatus(response, now(), did)
    return parseJson(response)
  }

  return {
    url: origin,
    async resolve(did, requestOptions = {}) {
      return parseDidDocument(await get(did, '', MAX_DOCUMENT_BYTES, requestOptions), did)
    },
    async data(did, requestOptions = {}) {
      const value = await get(did, '/data', MAX_DOCUMENT_BYTES, requestOptions)
      return { did, ...parsePlcData(value) }
    },
    async log(did, requestOptions = {}) {
      return list(await get(did, '/log', MAX_LOG_BYTES, requestOptions)).map(parsePlcOperation)
    },
    async auditLog(did, requestOptions = {}) {
      return list(await get(did, '/log/audit', MAX_LOG_BYTES, requestOptions)).map(parseEntry)
    },
    async lastOperation(did, requestOptions = {}) {
      return parsePlcOperation(await get(did, '/log/last', MAX_DOCUMENT_BYTES, requestOptions))
    },
    async submit(did, operation, { signal } = {}) {
      if (!isPlcDid(did)) throw new InvalidSyntaxError('did', did, 'not a did:plc')
      const response = await request(`/${did}`, MAX_DOCUMENT_BYTES, signal, operation)
      checkStatus(response, now(), did)
    },
    async exportPage({ after, count, signal } = {}) {
      const query = new URLSearchParams()
      if (after !== undefined) query.set('after', String(after))
      if (count !== undefined) query.set('count', String(count))
      const response = await request(`/export?${query}`, MAX_EXPORT_BYTES, signal)
      checkStatus(response, now())
      const lines = response.text.split('\n').filter((line) => line !== '')
      return lines.map((line) => parseExportEntry(parseJson({ ...response, text: line })))
    },
    async isHealthy({ signal } = {}) {
      try {
        return (await request('/_health', MAX_DOCUMENT_BYTES, signal)).status === 200
      } catch (error) {
        if (error instanceof PlcRequestFailedError) return false
        throw error
      }
    },
  }
}

function checkStatus(response: BoundedResponse, nowMs: number, did?: string): void {
  const { status } = response
  if (status >= 200 && status < 300) return
  const message = serverMessage(response.text)
  if (did !== undefined) {
    // The reference directory answers a tombstoned DID with 404 and this message.
    if (status === 410 || (status === 404 && message.startsWith('DID not available'))) {
      throw new DidDeactivatedError(did, 'plc')
    }
    if (status === 404) throw new DidNotFoundError(did, 'plc')
  }
  const asks = status === 429 || status >= 500
  const retryAfterMs = asks ? readRetryAfterMs(response.headers, nowMs) : undefined
  throw new PlcRequestFailedError(status, message, { retryAfterMs })
}

function serverMessage(text: string): string {
  try {
    const value: unknown = JSON.parse(text)
    const message: unknown =
      typeof value === 'object' && value !== null ? Reflect.get(value, 'message') : undefined
    return typeof message === 'string' ? message : 'refused'
  } catch {
    return text === '' ? 'refused' : text
  }
}

function parseJson(response: BoundedResponse): unknown {
  try {
    return JSON.parse(response.text)
  } catch (cause) {
    throw new PlcRequestFailedError(response.status, 'answer is not JSON', { cause })
  }
}

function list(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw new PlcRequestFailedError(200, 'answer is not a list')
  return value
}

function fields(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null) {
    throw new PlcRequestFailedError(200, 'answer holds something that is not an object')
  }
  // Any object can be read by name.
  return value as Readonly<Record<string, unknown>>
}

function string(value: unknown, field: string): string {
  if (typeof value !== 'string') throw new PlcRequestFailedError(200, `${field} is not a string`)
  return value
}

function parseEntry(value: unknown): PlcLogEntry {
  const entry = fields(value)
  return {
    did: string(entry['did'], 'did'),
    operation: parsePlcOperation(entry['operation']),
    cid: string(entry['cid'], 'cid'),
    nullified: entry['nullified'] === true,
    createdAt: string(entry['createdAt'], 'createdAt'),
  }
}

/** One exported line. */
export function parseExportEntry(value: unknown): PlcExportEntry {
  const { type, seq, nullified } = fields(value)
  const { did, operation, cid, createdAt } = parseEntry(value)
  return {
    ...(type === 'sequenced_op' ? { type } : {}),
    ...(typeof seq === 'number' ? { seq } : {}),
    did,
    operation,
    cid,
    createdAt,
    ...(typeof nullified === 'boolean' ? { nullified } : {}),
  }
}
