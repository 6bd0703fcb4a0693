import {
  InvalidPlcOperationError,
  PlcRequestFailedError,
  ResponseTooLargeError,
} from '../errors.ts'
import { isPlcDid } from '../did.ts'
import { verifyNextPlcOperation } from '../plc/audit-log.ts'
import { plcDidDocument } from '../plc/did-document.ts'
import { PLC_DIRECTORY_LIMITS, checkPlcLimits } from '../plc/limits.ts'
import type { PlcLimits } from '../plc/limits.ts'
import { parsePlcOperation, plcOperationData } from '../plc/operation.ts'
import type { AnyPlcOperation } from '../plc/operation.ts'
import { sequencedLine, streamExport } from './export-stream.ts'
import type { PlcStreamOptions } from './export-stream.ts'
import { createMemoryPlcStore } from './memory-store.ts'
import { DEFAULT_PLC_RATE_LIMITS, plcRateLimitWaitMs } from './rate-limit.ts'
import type { PlcRateLimits } from './rate-limit.ts'
import { readRequestJson } from './request-body.ts'
import type { PlcStore, SequencedPlcEntry } from './store.ts'

/** Options of {@link createPlcDirectory}. */
export interface PlcDirectoryOptions {
  /** @defaultValue a memory store */
  readonly store?: PlcStore
  /** @defaultValue `Date.now` */
  readonly now?: () => number
  /**
   * Operations one DID may add; `false` for none. Recovery is never limited, so that an attacker cannot exhaust it.
   * @defaultValue 10 an hour, 30 a day, 100 a week
   */
  readonly rateLimits?: PlcRateLimits | false
  /** @defaultValue {@link PLC_DIRECTORY_LIMITS} */
  readonly limits?: PlcLimits
  /**
   * How old the first entry after a stream's cursor may be, in milliseconds; older ones are for `/export`.
   * @defaultValue 7 days
   */
  readonly streamWindowMs?: number
  /**
   * What `/_health` reports.
   * @defaultValue `0.0.0`
   */
  readonly version?: string
  /** Called with what went wrong inside (the client sees only a 500). */
  readonly onError?: (error: unknown) => void
}

/** A directory as a Web handler: mounts in any server. */
export interface PlcDirectory {
  /** Answers one request. Never rejects. */
  fetch(request: Request): Promise<Response>
  /**
   * What `/export/stream` sends, one JSON text a message: the entries after `cursor` in order of seq, then the ones
   * this directory accepts, without end. `servePlcDirectory` sends it over WebSockets; so can you.
   *
   * Throws {@link PlcRequestFailedError} whose `reason` is the one to close the connection with: `FutureCursor` or
   * `OutdatedCursor`.
   */
  exportStream(options?: PlcStreamOptions): AsyncGenerator<string, void, void>
}

const DEFAULT_STREAM_WINDOW_MS = 7 * 24 * 3_600_000
/** Largest `count` of an export page. */
const MAX_EXPORT_COUNT = 1000

const CORS = {
  'access-control-allow-origin': '*',
  'access-control-allow-methods': 'GET,POST,OPTIONS',
  'access-control-allow-headers': '*',
}

/** An answer that is not a success. */
class Refusal extends Error {
  override readonly name = 'Refusal'
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  constructor(status: number, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message)
    this.status = status
    this.headers = headers
  }
}

/**
 * A did:plc directory: the HTTP API of the reference server over a store. Everything it accepts is verified first;
 * what it answers can be checked by `verifyAuditLog`.
 * @see {@link https://web.plc.directory/api/redoc}
 */
export function createPlcDirectory(options: PlcDirectoryOptions = {}): PlcDirectory {
  const {
    store = createMemoryPlcStore(),
    now = Date.now,
    rateLimits = DEFAULT_PLC_RATE_LIMITS,
    limits = PLC_DIRECTORY_LIMITS,
    streamWindowMs = DEFAULT_STREAM_WINDOW_MS,
    version = '0.0.0',
    onError,
  } = options

  let appended = Promise.withResolvers<void>()
  /** Latest time a page of the export by time ended with; before all times until there was one. */
  let exportedToMs = -1

  async function entriesOf(did: string): Promise<readonly SequencedPlcEntry[]> {
    const entries = await store.entries(did)
    if (entries.length === 0) throw new Refusal(404, `DID not registered: ${did}`)
    return entries
  }

  async function lastOf(did: string): Promise<AnyPlcOperation> {
    const last = (await entriesOf(did)).findLast(({ nullified }) => !nullified)
    if (last === undefined) throw new Refusal(404, `DID not registered: ${did}`)
    return last.operation
  }

  async function dataOf(
    did: string,
  ): Promise<{ readonly did: string } & NonNullable<ReturnType<typeof plcOperationData>>> {
    const data = plcOperationData(await lastOf(did))
    if (data === undefined) throw new Refusal(410, `DID not available: ${did}`)
    return { did, ...data }
  }

  async function submit(did: string, request: Request): Promise<Response> {
    if (!isPlcDid(did)) throw new Refusal(400, 'not a did:plc')
    const operation = parsePlcOperation(await readRequestJson(request))
    if (operation.type === 'create')
      throw new Refusal(400, 'operations of type create are no longer accepted')
    checkPlcLimits(operation, limits)
    const entries = await store.entries(did)
    const chain = entries
      .filter(({ nullified }) => !nullified)
      .map((entry) => ({ ...entry, createdAtMs: Date.parse(entry.createdAt) }))
    const last = entries.at(-1)
    // Never two operations of one DID at one time, or in the wrong order: readers sort by it. And none at a time that
    // a reader of the export by time is past.
    const lastMs = last === undefined ? -1 : Date.parse(last.createdAt)
    const nowMs = Math.max(now(), lastMs + 1, exportedToMs + 1)
    const { cid, nullified } = verifyNextPlcOperation(did, chain, operation, nowMs)
    if (nullified.length === 0 && rateLimits !== false) {
      limitRate(
        chain.map(({ createdAtMs }) => createdAtMs),
        nowMs,
        rateLimits,
      )
    }
    const seq = await store.append(
      { did, operation, cid, nullified: false, createdAt: new Date(nowMs).toISOString() },
      { expectedLength: entries.length, nullify: nullified },
    )
    if (seq === undefined) throw new Refusal(409, 'prev does not match the most recent operation')
    appended.resolve()
    appended = Promise.withResolvers()
    return new Response('OK', {
      status: 200,
      headers: { 'content-type': 'text/plain; charset=utf-8', ...CORS },
    })
  }

  async function exportPage(query: URLSearchParams): Promise<Response> {
    const count = Number.parseInt(query.get('count') ?? String(MAX_EXPORT_COUNT), 10)
    if (Number.isNaN(count) || count < 1) throw new Refusal(400, 'invalid count parameter')
    const page = Math.min(count, MAX_EXPORT_COUNT)
    const after = query.get('after') ?? undefined
    let lines: readonly object[]
    if (after !== undefined && /^\d+$/.test(after)) {
      const seq = Number(after)
      if (!Number.isSafeInteger(seq)) throw new Refusal(400, 'invalid after parameter')
      lines = (await store.exportAfterSeq(seq, page)).map(sequencedLine)
    } else {
      const entries = await store.exportAfterTime(parseAfter(after), page)
      exportedToMs = Math.max(exportedToMs, Date.parse(entries.at(-1)?.createdAt ?? '') || -1)
      lines = entries.map(auditLine)
    }
    return new Response(lines.map((line) => JSON.stringify(line)).join('\n'), {
      headers: { 'content-type': 'application/jsonlines; charset=utf-8', ...CORS },
    })
  }

  async function health(): Promise<Response> {
    try {
      await store.lastSeq()
      return json({ version })
    } catch (error) {
      onError?.(error)
      return json({ version, error: 'Service Unavailable' }, 503)
    }
  }

  async function route(request: Request): Promise<Response> {
    const url = new URL(request.url)
    const [did = '', ...rest] = url.pathname.slice(1).split('/').map(decodeSegment)
    const path = rest.join('/')
    if (request.method === 'OPTIONS') return new Response(null, { status: 204, headers: CORS })
    if (request.method === 'POST' && did !== '' && path === '') return submit(did, request)
    if (request.method !== 'GET' && request.method !== 'HEAD')
      throw new Refusal(405, 'method not allowed')
    if (path === '') {
      if (did === '') return json({ service: 'did:plc directory', version })
      if (did === '_health') return health()
      if (did === 'export') return exportPage(url.searchParams)
      return json(plcDidDocument(await dataOf(did)), 200, 'application/did+ld+json; charset=utf-8')
    }
    if (path === 'data') return json(await dataOf(did))
    if (path === 'log') {
      const entries = await entriesOf(did)
      return json(entries.filter(({ nullified }) => !nullified).map(({ operation }) => operation))
    }
    if (path === 'log/audit') return json((await entriesOf(did)).map(auditLine))
    if (did === 'export' && path === 'stream') throw new Refusal(426, 'upgrade required')
    if (path === 'log/last') return json(await lastOf(did))
    throw new Refusal(404, 'no such route')
  }

  return {
    async fetch(request) {
      try {
        return await route(request)
      } catch (error) {
        const refusal = toRefusal(error)
        if (refusal === undefined) {
          onError?.(error)
          return json({ message: 'Internal Server Error' }, 500)
        }
        const response = json({ message: refusal.message }, refusal.status)
        for (const [name, value] of Object.entries(refusal.headers))
          response.headers.set(name, value)
        return response
      }
    },
    async *exportStream(streamOptions = {}) {
      const oldest = new Date(now() - streamWindowMs).toISOString()
      const source = { store, oldest, nextAppend: () => appended.promise }
      try {
        yield* streamExport(source, streamOptions)
      } catch (error) {
        if (!(error instanceof PlcRequestFailedError)) onError?.(error)
        throw error
      }
    },
  }
}

function toRefusal(error: unknown): Refusal | undefined {
  if (error instanceof Refusal) return error
  if (error instanceof InvalidPlcOperationError) return new Refusal(400, error.message)
  if (error instanceof ResponseTooLargeError) return new Refusal(413, 'request body too large')
  return undefined
}

function limitRate(timesMs: readonly number[], nowMs: number, limits: PlcRateLimits): void {
  const waitMs = plcRateLimitWaitMs(timesMs, nowMs, limits)
  if (waitMs <= 0) return
  throw new Refusal(429, 'too many operations for this DID', {
    'retry-after': String(Math.ceil(waitMs / 1000)),
  })
}

function parseAfter(after: string | undefined): string | undefined {
  if (after === undefined || after === '') return undefined
  const time = Date.parse(after)
  if (Number.isNaN(time)) throw new Refusal(400, 'invalid after parameter')
  return new Date(time).toISOString()
}

function auditLine({ did, operation, cid, nullified, createdAt }: SequencedPlcEntry): object {
  return { did, operation, cid, nullified, createdAt }
}

function decodeSegment(segment: string): string {
  try {
    return decodeURIComponent(segment)
  } catch {
    throw new Refusal(400, 'malformed path')
  }
}

function json(value: unknown, status = 200, type = 'application/json; charset=utf-8'): Response {
  return new Response(JSON.stringify(value), { status, headers: { 'content-type': type, ...CORS } })
}
