import { fetchBounded } from './bounded-fetch.ts'
import type { BoundedResponse } from './bounded-fetch.ts'
import { parseDidDocument } from './did-document.ts'
import type { DidDocument } from './did-document.ts'
import { parseDid } from './did.ts'
import {
  DidNotFoundError,
  IdentityError,
  InvalidDidDocumentError,
  ResolutionFailedError,
  UnsupportedDidMethodError,
} from './errors.ts'

/** Bytes of a did:web document. */
const MAX_DOCUMENT_BYTES = 65_536

/** Options of {@link resolveDidWeb}. */
export interface DidWebOptions {
  readonly fetch: typeof globalThis.fetch
  readonly timeoutMs: number
  /** Development: `localhost` and hosts with a port are asked over http. */
  readonly dev: boolean
  readonly signal?: AbortSignal | undefined
}

/**
 * Fetches the document of a did:web from `/.well-known/did.json`. Redirects are not followed.
 * @throws {DidNotFoundError} when the host answers 404 or 410
 * @throws {InvalidDidDocumentError} when the answer is not this DID's document
 * @throws {ResolutionFailedError} when the host does not answer, or answers with another status
 * @see {@link https://w3c-ccg.github.io/did-method-web/#read-resolve}
 */
export async function resolveDidWeb(did: string, options: DidWebOptions): Promise<DidDocument> {
  const { dev, ...request } = options
  const parsed = parseDid(did, { dev })
  if (parsed.method !== 'web') throw new UnsupportedDidMethodError(did)
  const response = await ask(did, didWebUrl(parsed.host, dev), request)
  const { status } = response
  if (status === 404 || status === 410) throw new DidNotFoundError(did, 'did-web')
  if (status < 200 || status >= 300) {
    const reason =
      status === 0 || (status >= 300 && status < 400) ? 'redirected' : `status ${status}`
    const retryable = status >= 500 || status === 429 || status === 408
    throw new ResolutionFailedError(did, 'did-web', reason, { retryable })
  }
  return parseDidDocument(parseJson(did, response.text), did)
}

function didWebUrl(host: string, dev: boolean): string {
  const local =
    dev && (/^localhost(:|$)/i.test(host) || host.includes(':') || /\.test$/i.test(host))
  return `${local ? 'http' : 'https'}://${host}/.well-known/did.json`
}

async function ask(
  did: string,
  url: string,
  request: Omit<DidWebOptions, 'dev'>,
): Promise<BoundedResponse> {
  try {
    return await fetchBounded(url, {
      ...request,
      maxBytes: MAX_DOCUMENT_BYTES,
      redirect: 'manual',
      accept: 'application/did+ld+json, application/json',
    })
  } catch (cause) {
    request.signal?.throwIfAborted()
    if (cause instanceof IdentityError) {
      const { message, retryable } = cause
      throw new ResolutionFailedError(did, 'did-web', message, { retryable, cause })
    }
    throw new ResolutionFailedError(did, 'did-web', 'no answer', { retryable: true, cause })
  }
}

function parseJson(did: string, text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new InvalidDidDocumentError(did, 'not JSON', { cause })
  }
}
