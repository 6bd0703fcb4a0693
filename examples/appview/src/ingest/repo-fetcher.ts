import type { RepoFetcher, RepoFetchResult, SnapshotRecord } from '@skywright/appview-indexer'
import { DidDeactivatedError, type Identity, type IdentityResolver } from '@skywright/identity'
import { InvalidSignatureError, parsePath, type VerifiedRepo, verifyRepo } from '@skywright/repo'

/** 256 MB, held in memory while it is proven, eight at a time. A larger repository is not backfilled. */
const MAX_REPO_BYTES = 256_000_000
/** A PDS that has not delivered a repository by then is asked again later. */
const FETCH_TIMEOUT_MS = 600_000
/** An XRPC error body is short; more is not read. */
const MAX_ERROR_BYTES = 16_384

/** What the errors of `getRepo` say about an account. */
const STATUS_OF_ERROR: Readonly<Record<string, string>> = {
  RepoNotFound: 'deleted',
  RepoTakendown: 'takendown',
  RepoSuspended: 'suspended',
  RepoDeactivated: 'deactivated',
}

export interface RepoFetcherOptions {
  readonly resolver: Pick<IdentityResolver, 'resolveIdentity'>
  /** Must refuse private addresses: the URL comes from a DID document. */
  readonly fetch: typeof globalThis.fetch
}

/**
 * Fetches whole repositories from the PDS of their account and proves them: signature, tree and every record. Where an
 * outdated identity explains the outcome (the account moved, or its key changed), it is looked up afresh and asked again.
 */
export function createRepoFetcher({ resolver, fetch }: RepoFetcherOptions): RepoFetcher {
  return async (did, options) => {
    const signal = AbortSignal.any([options.signal, AbortSignal.timeout(FETCH_TIMEOUT_MS)])
    try {
      try {
        const found = await fetchRepo(
          fetch,
          await resolver.resolveIdentity(did, { signal }),
          signal,
        )
        if (found.kind === 'snapshot' || found.status !== 'deleted') return found
      } catch (error) {
        if (!(error instanceof InvalidSignatureError)) throw error
      }
      const fresh = await resolver.resolveIdentity(did, { signal, refresh: true })
      return await fetchRepo(fetch, fresh, signal)
    } catch (error) {
      if (error instanceof DidDeactivatedError) return gone('deleted')
      throw error
    }
  }
}

async function fetchRepo(
  fetch: RepoFetcherOptions['fetch'],
  { did, pds, signingKey: key }: Identity,
  signal: AbortSignal,
): Promise<RepoFetchResult> {
  if (pds === undefined || key === undefined)
    throw new TypeError(`account has no PDS or no signing key; did=${did}`)
  const url = new URL('/xrpc/com.atproto.sync.getRepo', pds)
  url.searchParams.set('did', did)
  const response = await fetch(url, { signal })
  if (!response.ok || response.body === null) {
    const status = STATUS_OF_ERROR[await readErrorName(response)]
    if (status !== undefined) return gone(status)
    throw new TypeError(`PDS refused a repository; did=${did}, status=${response.status}`)
  }
  // Records need not be canonical to be shown; the indexer checks each against its lexicon.
  const repo = await verifyRepo(response.body, {
    did,
    key,
    mode: 'tolerant',
    maxBytes: MAX_REPO_BYTES,
  })
  return { kind: 'snapshot', snapshot: { did, rev: repo.rev, records: snapshotRecords(repo) } }
}

function* snapshotRecords(repo: VerifiedRepo): Generator<SnapshotRecord, void, void> {
  for (const { path, cid, bytes } of repo.records()) {
    const { collection, rkey } = parsePath(path)
    yield { collection, rkey, cid: cid.bytes, record: bytes }
  }
}

function gone(status: string): RepoFetchResult {
  return { kind: 'status', active: false, status }
}

/** The `error` of an XRPC error body, or nothing. */
async function readErrorName(response: Response): Promise<string> {
  const text = await readText(response)
  try {
    const body: unknown = JSON.parse(text)
    const named = typeof body === 'object' && body !== null && 'error' in body
    return named && typeof body.error === 'string' ? body.error : ''
  } catch {
    // Not JSON: not an answer of a PDS.
    return ''
  }
}

async function readText(response: Response): Promise<string> {
  if (response.body === null) return ''
  const decoder = new TextDecoder()
  let text = ''
  for await (const chunk of response.body) {
    text += decoder.decode(chunk, { stream: true })
    if (text.length > MAX_ERROR_BYTES) break
  }
  return text
}
