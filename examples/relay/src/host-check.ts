import type { HostAddress } from './hostname.ts'
import { readBounded } from './read-bounded.ts'

const CHECK_TIMEOUT_MS = 5_000
/** A server description is a few hundred bytes; nobody needs to send more than this. */
const MAX_DESCRIPTION_BYTES = 65_536
/** How this relay names itself in `server`, so that relays do not crawl relays. */
export const SERVER_NAME = 'skywright-relay'
const RELAY_SERVERS = /relay|rainbow|bigsky/i

/**
 * Asks a host to describe itself.
 *
 * @returns `undefined` when it answers as a PDS does, else what is wrong, as the end of a sentence
 */
export async function checkHostIsAlive(
  host: HostAddress,
  fetch: typeof globalThis.fetch,
): Promise<string | undefined> {
  try {
    const response = await fetch(`${host.url}/xrpc/com.atproto.server.describeServer`, {
      redirect: 'error',
      signal: AbortSignal.timeout(CHECK_TIMEOUT_MS),
      headers: { accept: 'application/json', 'user-agent': SERVER_NAME },
    })
    const body = await readBounded(response, MAX_DESCRIPTION_BYTES)
    if (RELAY_SERVERS.test(response.headers.get('server') ?? '')) return 'is a relay, not a PDS'
    if (!response.ok) return `answered describeServer with status ${String(response.status)}`
    if (body === undefined) return 'describes itself at too great a length'
    const description: unknown = JSON.parse(body)
    const isDescription =
      typeof description === 'object' &&
      description !== null &&
      'did' in description &&
      typeof description.did === 'string' &&
      description.did.startsWith('did:')
    return isDescription ? undefined : 'does not describe itself as a PDS does'
  } catch (error) {
    if (error instanceof SyntaxError) return 'answered describeServer with something else than JSON'
    return `could not be reached (${reasonOf(error)})`
  }
}

/** The innermost cause is the one that names the problem: `ECONNREFUSED`, not `fetch failed`. */
function reasonOf(error: unknown): string {
  let current = error
  while (current instanceof Error && current.cause instanceof Error) current = current.cause
  return current instanceof Error ? current.message.slice(0, 200) : 'unknown error'
}
