import { untilAborted, withDeadline } from './abort.ts'
import { ResponseTooLargeError } from './errors.ts'

/** A request whose answer is read whole, within bounds. */
export interface BoundedRequest {
  readonly fetch: typeof globalThis.fetch
  /** Time from the request to the last byte of the answer. */
  readonly timeoutMs: number
  /** Bytes of the decoded body; a longer one is an error, and is not read further. */
  readonly maxBytes: number
  /** Whether `fetch` may follow redirects. `manual` hands a 3xx back. */
  readonly redirect: 'follow' | 'manual'
  readonly accept?: string
  readonly method?: 'GET' | 'POST'
  /** Sent as JSON. */
  readonly json?: unknown
  readonly signal?: AbortSignal | undefined
}

/** An answer, read. */
export interface BoundedResponse {
  /** 0 when the runtime hides a redirect (browsers do). */
  readonly status: number
  readonly headers: Headers
  readonly text: string
}

/**
 * Fetches and reads an answer within time and size bounds. Network failures reject as `fetch` does.
 * @throws {ResponseTooLargeError} when the body is longer than `maxBytes`
 */
export async function fetchBounded(url: string, request: BoundedRequest): Promise<BoundedResponse> {
  const { fetch, timeoutMs, maxBytes, redirect, accept, method = 'GET', json, signal } = request
  return withDeadline(signal, timeoutMs, async (deadline) => {
    const answered = fetch(url, {
      method,
      redirect,
      signal: deadline,
      headers: {
        ...(accept === undefined ? {} : { accept }),
        ...(json === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(json === undefined ? {} : { body: JSON.stringify(json) }),
    })
    // Not every fetch heeds its signal.
    const response = await untilAborted(answered, deadline)
    const text = await untilAborted(readBounded(url, response, maxBytes), deadline)
    return { status: response.status, headers: response.headers, text }
  })
}

async function readBounded(url: string, response: Response, maxBytes: number): Promise<string> {
  const declared = Number(response.headers.get('content-length') ?? 0)
  if (declared > maxBytes) {
    response.body?.cancel().catch(() => undefined)
    throw new ResponseTooLargeError(url, maxBytes)
  }
  if (response.body === null) return ''
  const reader = response.body.getReader()
  const decoder = new TextDecoder()
  let length = 0
  let text = ''
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return text + decoder.decode()
      length += value.length
      if (length > maxBytes) throw new ResponseTooLargeError(url, maxBytes)
      text += decoder.decode(value, { stream: true })
    }
  } finally {
    // Not awaited: a source may take its time to stop, and what matters is read. No effect on a finished body.
    reader.cancel().catch(() => undefined)
  }
}
