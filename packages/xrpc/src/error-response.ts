import {
  AuthRequiredError,
  ForbiddenError,
  InvalidRequestError,
  NotFoundError,
  RateLimitedError,
  UpstreamFailureError,
  XrpcError,
} from './errors.ts'

/** An error body is two short texts; more is not read. */
const MAX_ERROR_BYTES = 65_536
const MAX_MESSAGE_LENGTH = 2_000
const NAME = /^[\x21-\x7e]{1,256}$/

const NAMES_BY_STATUS: Readonly<Record<number, string>> = {
  400: 'InvalidRequest',
  401: 'AuthenticationRequired',
  403: 'Forbidden',
  404: 'XrpcNotSupported',
  413: 'PayloadTooLarge',
  429: 'RateLimitExceeded',
  500: 'InternalServerError',
  501: 'MethodNotImplemented',
  502: 'UpstreamFailure',
  503: 'NotEnoughResources',
  504: 'UpstreamTimeout',
}

/** The error a failed response stands for. Copes with bodies that are HTML, empty, cut off or endless. */
export async function readErrorResponse(
  response: Response,
  now: () => number = Date.now,
): Promise<XrpcError> {
  const { status } = response
  const { name, message } = parseError(await readStart(response))
  const error = name ?? NAMES_BY_STATUS[status] ?? (status < 500 ? 'InvalidRequest' : 'Unknown')
  const text = message ?? `status ${status}`
  const headers = Object.fromEntries(response.headers)
  switch (status) {
    case 400:
      return new InvalidRequestError(text, { error, headers })
    case 401:
      return new AuthRequiredError(text, { error, headers })
    case 403:
      return new ForbiddenError(text, { error, headers })
    case 404:
      return new NotFoundError(text, { error, headers })
    case 429: {
      const retryAfterSeconds = retryAfter(response.headers, now())
      const known = retryAfterSeconds === undefined ? {} : { retryAfterSeconds }
      return new RateLimitedError(text, { error, headers, ...known })
    }
    case 502:
      return new UpstreamFailureError(text, { error, headers })
    default:
      return new XrpcError(status, error, text, { headers })
  }
}

/**
 * Seconds to wait as an answer asks: `retry-after` in seconds or as a date, else `ratelimit-reset` in seconds since 1970
 * when nothing remains. `undefined` when it does not say.
 */
export function retryAfter(
  headers: { get(name: string): string | null },
  nowMs: number,
): number | undefined {
  const asked = headers.get('retry-after')?.trim()
  if (asked !== undefined && asked !== '') {
    if (/^[0-9]{1,9}$/.test(asked)) return Number(asked)
    const date = Date.parse(asked)
    if (!Number.isNaN(date)) return Math.max(0, (date - nowMs) / 1000)
  }
  const reset = headers.get('ratelimit-reset')?.trim()
  if (headers.get('ratelimit-remaining')?.trim() !== '0' || reset === undefined) return undefined
  return /^[0-9]{1,12}$/.test(reset) ? Math.max(0, Number(reset) - nowMs / 1000) : undefined
}

async function readStart(response: Response): Promise<string> {
  if (response.body === null) return ''
  const decoder = new TextDecoder()
  let text = ''
  let length = 0
  try {
    for await (const chunk of response.body) {
      length += chunk.length
      text += decoder.decode(chunk, { stream: true })
      if (length > MAX_ERROR_BYTES) break
    }
  } catch {
    // The status says enough; a body that breaks off only costs its message.
  }
  return text
}

function parseError(text: string): { name: string | undefined; message: string | undefined } {
  let body: unknown
  try {
    body = JSON.parse(text)
  } catch {
    return { name: undefined, message: undefined }
  }
  const { error, message } = (body ?? {}) as {
    readonly error?: unknown
    readonly message?: unknown
  }
  return {
    name: typeof error === 'string' && NAME.test(error) ? error : undefined,
    message: typeof message === 'string' ? message.slice(0, MAX_MESSAGE_LENGTH) : undefined,
  }
}
