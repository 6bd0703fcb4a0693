import { fetchBounded } from '../bounded-fetch.ts'
import type { ResolveTxt } from './dns.ts'

const DEFAULT_TIMEOUT_MS = 5000
const MAX_ANSWER_BYTES = 65_536
/** DNS response codes and types, as the JSON form of DNS-over-HTTPS gives them. */
const NO_ERROR = 0
const NXDOMAIN = 3
const TYPE_TXT = 16

/** Options of {@link createDohResolveTxt}. */
export interface DohOptions {
  /** Endpoint of the JSON form, such as `https://cloudflare-dns.com/dns-query` or `https://dns.google/resolve`. */
  readonly url: string
  /** @defaultValue `globalThis.fetch` */
  readonly fetch?: typeof globalThis.fetch
  /** @defaultValue 5000 */
  readonly timeoutMs?: number
}

/** TXT lookups over HTTPS, for runtimes without DNS (browsers, Workers). The DoH server is trusted as a DNS server is. */
export function createDohResolveTxt(options: DohOptions): ResolveTxt {
  const { url, fetch = globalThis.fetch, timeoutMs = DEFAULT_TIMEOUT_MS } = options
  return async (name, { signal } = {}) => {
    const endpoint = new URL(url)
    endpoint.searchParams.set('name', name)
    endpoint.searchParams.set('type', 'TXT')
    const { status, text } = await fetchBounded(endpoint.href, {
      fetch,
      timeoutMs,
      maxBytes: MAX_ANSWER_BYTES,
      redirect: 'manual',
      accept: 'application/dns-json',
      signal,
    })
    if (status !== 200) throw new Error(`DNS-over-HTTPS answered ${status}`)
    const answer: unknown = JSON.parse(text)
    const code = field(answer, 'Status')
    if (code === NXDOMAIN) throw new DnsAbsentError('ENOTFOUND')
    if (code !== NO_ERROR) throw new Error(`DNS-over-HTTPS response code ${String(code)}`)
    const answers = field(answer, 'Answer')
    const records = (Array.isArray(answers) ? answers : [])
      .filter((record: unknown) => field(record, 'type') === TYPE_TXT)
      .map((record: unknown) => parseTxtData(field(record, 'data')))
    if (records.length === 0) throw new DnsAbsentError('ENODATA')
    return records
  }
}

/** What `node:dns` throws when there is nothing, in the form the handle resolver reads. */
class DnsAbsentError extends Error {
  override readonly name = 'DnsAbsentError'
  readonly code: 'ENOTFOUND' | 'ENODATA'
  constructor(code: 'ENOTFOUND' | 'ENODATA') {
    super(code)
    this.code = code
  }
}

function field(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined
}

/**
 * Chunks of a TXT record in presentation form: `"one" "two"` with backslash escapes, or bare text (some servers leave
 * the quotes out).
 */
export function parseTxtData(data: unknown): readonly string[] {
  if (typeof data !== 'string') return []
  if (!data.startsWith('"')) return [data]
  const chunks: string[] = []
  // Sticky: what does not follow on ends it, so that no character is looked at for every quote before it.
  const quoted = /\s*"((?:[^"\\]|\\.)*)"/gsy
  for (const [, chunk = ''] of data.matchAll(quoted)) {
    chunks.push(
      chunk.replace(
        /\\(?:(\d{3})|(.))/gs,
        (_all, code: string | undefined, char: string | undefined) =>
          code === undefined ? (char ?? '') : String.fromCharCode(Number(code)),
      ),
    )
  }
  return chunks
}
