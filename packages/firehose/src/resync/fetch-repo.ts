import { verifyRepo, type VerifiedRepo } from '@skywright/repo'
import { FetchFailedError, RepoUnavailableError } from '../errors.ts'
import type { AccountIdentity, IdentitySource } from '../verify/identity.ts'
import { query, type FetchLike } from './request.ts'

const DEFAULT_MAX_REPO_BYTES: number = 512 * 1024 * 1024
const DEFAULT_TIMEOUT_MS = 120_000

export interface FetchRepoOptions {
  readonly identity: IdentitySource
  /** @defaultValue the platform's `fetch`, which follows redirects of relays to the account's host */
  readonly fetch?: FetchLike | undefined
  /** Asked before the account's own host, so that many consumers share one transfer: a relay or mirror. */
  readonly upstream?: string | undefined
  /** A copy older than this is refused: a mirror that lags must not roll anything back. */
  readonly minRev?: string | undefined
  /** Largest CAR taken, in bytes. @defaultValue 512 MiB */
  readonly maxBytes?: number | undefined
  /** @defaultValue two minutes until the whole CAR is there */
  readonly timeoutMs?: number | undefined
  readonly signal?: AbortSignal | undefined
}

/** A whole repository, proven. */
export interface RepoCopy {
  readonly repo: VerifiedRepo
  /** Host it came from. */
  readonly source: string
}

/** XRPC errors by which a host says that an account's repository is not to be had, and the status they mean. */
const STATUS_OF: ReadonlyMap<string, string> = new Map([
  ['RepoTakendown', 'takendown'],
  ['RepoSuspended', 'suspended'],
  ['RepoDeactivated', 'deactivated'],
  ['AccountTakedown', 'takendown'],
  ['AccountDeactivated', 'deactivated'],
])

/**
 * Fetches a repository and proves it: signature, every hash, every rule of the tree, every record there.
 *
 * The upstream is asked first, then the account's own host. A signature that fails is tried once more with a fresh look
 * at the account's key. Records are taken as the bytes that were signed.
 *
 * @throws {RepoUnavailableError} when the account's host says that the account is not active there, or not there.
 * @throws {FetchFailedError} when nobody gave a usable copy; `cause` is what the last one did.
 * @throws the signal's reason when it aborts.
 */
export async function fetchRepo(did: string, options: FetchRepoOptions): Promise<RepoCopy> {
  const { identity, upstream, signal = new AbortController().signal } = options
  let account = identity.peek(did) ?? (await identity.resolve(did, { refresh: false, signal }))
  const { pds } = account
  if (pds === undefined) throw new FetchFailedError(did, 'account names no host')
  let failure: unknown
  for (const source of new Set([upstream, pds])) {
    if (source === undefined) continue
    for (let refreshed = false; ; refreshed = true) {
      try {
        return await fetchFrom(source, did, account, options, signal)
      } catch (error) {
        signal.throwIfAborted()
        failure = error
        // The account's own host decides; what a mirror does not have proves nothing.
        if (error instanceof RepoUnavailableError && source === pds) throw error
        if (refreshed || codeOf(error) !== 'InvalidSignature') break
        account = await identity.resolve(did, { refresh: true, signal })
      }
    }
  }
  if (failure instanceof FetchFailedError) throw failure
  const reason = failure instanceof Error ? failure.message : 'unusable copy'
  throw new FetchFailedError(new URL(pds).host, reason, { cause: failure })
}

async function fetchFrom(
  source: string,
  did: string,
  { signingKey }: AccountIdentity,
  options: FetchRepoOptions,
  signal: AbortSignal,
): Promise<RepoCopy> {
  const {
    fetch = (url, init) => globalThis.fetch(url, init),
    maxBytes = DEFAULT_MAX_REPO_BYTES,
    timeoutMs = DEFAULT_TIMEOUT_MS,
    minRev,
  } = options
  const { host } = new URL(source)
  if (signingKey === undefined) throw new FetchFailedError(host, 'account has no signing key')
  const within = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)])
  const response = await query(
    source,
    'com.atproto.sync.getRepo',
    { did },
    { fetch, signal: within, timeoutMs },
  )
  if ('error' in response) {
    const status = STATUS_OF.get(response.error) ?? goneStatus(response.error)
    if (status !== undefined) throw new RepoUnavailableError(did, status)
    throw new FetchFailedError(host, response.error, { status: response.status })
  }
  if (response.body === null) throw new FetchFailedError(host, 'empty answer')
  const repo = await verifyRepo(response.body, {
    did,
    key: signingKey,
    maxBytes,
    mode: 'tolerant',
    signal: within,
    ...(minRev === undefined ? {} : { minRev }),
  })
  return { repo, source: host }
}

function goneStatus(error: string): string | undefined {
  return error === 'RepoNotFound' ? 'deleted' : undefined
}

function codeOf(error: unknown): unknown {
  return error !== null && typeof error === 'object' && 'code' in error ? error.code : undefined
}
