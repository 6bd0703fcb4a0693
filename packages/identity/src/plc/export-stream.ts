import { PlcRequestFailedError } from '../errors.ts'
import { parseExportEntry } from './client.ts'
import type { PlcExportEntry } from './client.ts'

/** Entries that may wait to be consumed; the connection is given up beyond. */
const MAX_BUFFERED_ENTRIES = 10_000
/** Characters of one message; an operation has at most 7,500 bytes. */
const MAX_MESSAGE_CHARS = 65_536

/** Why a directory closes a stream that it cannot or will not go on with. */
const CLOSE_REASONS: readonly string[] = ['FutureCursor', 'OutdatedCursor', 'ConsumerTooSlow']

/** Options of {@link readPlcExportStream}. */
export interface PlcExportStreamOptions {
  /** Origin of the directory, `https:`. */
  readonly url: string
  /** Last seq already seen; only newer entries come. Without it, entries from now on. */
  readonly cursor?: number
  readonly signal?: AbortSignal
  /** @defaultValue `globalThis.WebSocket` */
  readonly WebSocket?: typeof globalThis.WebSocket
}

/**
 * Entries of `/export/stream` as the directory accepts them, in order of seq, without end. Ends when the directory
 * closes the connection in good order: start again from the last seq. A cursor older than about a week is refused
 * with `OutdatedCursor`; catch up with `exportPage` first.
 * @throws {PlcRequestFailedError} with `reason` `FutureCursor`, `OutdatedCursor` or `ConsumerTooSlow` when the
 * directory says so, or what went wrong with the connection
 * @see {@link https://web.plc.directory/spec/v0.1/did-plc}
 */
export async function* readPlcExportStream(
  options: PlcExportStreamOptions,
): AsyncGenerator<PlcExportEntry, void, void> {
  const { url, cursor, signal, WebSocket: Socket = globalThis.WebSocket } = options
  signal?.throwIfAborted()
  const endpoint = new URL('/export/stream', url)
  endpoint.protocol = endpoint.protocol === 'http:' ? 'ws:' : 'wss:'
  if (cursor !== undefined) endpoint.searchParams.set('cursor', String(cursor))
  const socket = new Socket(endpoint)

  const buffered: PlcExportEntry[] = []
  let outcome: { readonly error?: unknown } | undefined
  let wake = (): void => undefined
  const end = (error?: unknown): void => {
    outcome ??= error === undefined ? {} : { error }
    wake()
  }
  socket.addEventListener('message', ({ data }: MessageEvent<unknown>) => {
    try {
      if (buffered.length >= MAX_BUFFERED_ENTRIES)
        throw new PlcRequestFailedError(undefined, 'ConsumerTooSlow')
      buffered.push(parseMessage(data))
      wake()
    } catch (error) {
      end(error)
      socket.close()
    }
  })
  socket.addEventListener('error', () => {
    end(new PlcRequestFailedError(undefined, 'connection failed'))
  })
  socket.addEventListener('close', ({ code, reason }) => {
    if (CLOSE_REASONS.includes(reason)) end(new PlcRequestFailedError(400, reason))
    else if (code === 1000 || code === 1001 || code === 1005) end()
    else end(new PlcRequestFailedError(undefined, `connection closed with ${code}`))
  })
  const abort = (): void => {
    end(signal?.reason)
  }
  signal?.addEventListener('abort', abort, { once: true })

  try {
    for (;;) {
      // What arrived before the end is handed over before the end is told; an abort is told at once.
      signal?.throwIfAborted()
      const entry = buffered.shift()
      if (entry !== undefined) {
        yield entry
      } else if (outcome === undefined) {
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      } else if ('error' in outcome) {
        throw outcome.error
      } else {
        return
      }
    }
  } finally {
    signal?.removeEventListener('abort', abort)
    socket.close()
  }
}

function parseMessage(data: unknown): PlcExportEntry {
  if (typeof data !== 'string' || data.length > MAX_MESSAGE_CHARS) {
    throw new PlcRequestFailedError(undefined, 'message is not JSON')
  }
  let value: unknown
  try {
    value = JSON.parse(data)
  } catch (cause) {
    throw new PlcRequestFailedError(undefined, 'message is not JSON', { cause })
  }
  return parseExportEntry(value)
}
