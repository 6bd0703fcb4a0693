import { createGuardedFetch } from '@skywright/identity'
import { verifyRepo, type VerifiedRepo } from '@skywright/repo'
import { FetchFailedError, RepoUnavailableError } from '../errors.ts'
import { systemClock, type Clock } from '../timer.ts'
import type { AccountIdentity, IdentitySource } from '../verify/identity.ts'
import { query, readJson, retryAfterMs, type FetchLike } from './request.ts'

const DEFAULT_MAX_REPO_BYTES: number = 512 * 1024 * 1024
const DEFAULT_TIMEOUT_MS = 120_000

export interface FetchRepoOptions {
  readonly identity: IdentitySource
  /**
   * @defaultValue the platform's `fetch`: the upstream is asked wherever it is, and every other host, to which it
   * redirects or which an account names, only where its URL is public. On servers hand in `createSafeFetch` of
   * `@skywright/identity/node`, which also checks the addresses behind names.
   */
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
  ['RepoNotFound', 'deleted'],
  ['RepoTakendown', 'takendown'],
  ['RepoSuspended', 'suspended'],
  ['RepoDeactivated', 'deactivated'],
  ['AccountTakedown', 'takendown'],
  ['AccountDeactivated', 'deactivated'],
])
/** What `getRepoStatus` may say of an account that is not active. */
const STATUSES: ReadonlySet<string> = new Set(['deleted', 'takendown', 'suspended', 'deactivated'])
const MAX_STATUS_BYTES = 16_384
const STATUS_TIMEOUT_MS = 30_000
/** Longest that a redirect is waited with. */
const MAX_TURN_MS = 60_000

/**
 * Fetches a repository and proves it: signature, every hash, every rule of the tree, every record there.
 *
 * The upstream is asked first, then the account's own host. A signature that fails is tried once more with a fresh look
 * at the account's key; a host that does not have the account, with a fresh look at where it lives, and "not found" is
 * believed only when the host's `getRepoStatus` says so too. Records are taken as the bytes that were signed.
 *
 * @throws {RepoUnavailableError} when the account's host says that the account is not active there, or not there.
 * @throws {FetchFailedError} when nobody gave a usable copy; `cause` is what the last one did.
 * @throws the signal's reason when it aborts.
 */
export async function fetchRepo(did: string, options: FetchRepoOptions): Promise<RepoCopy> {
  const { identity, upstream, signal = new AbortController().signal } = options
  const lookUp = (refresh: boolean): Promise<AccountIdentity> =>
    resolveAccount(did, identity, refresh, signal)
  let account = identity.peek(did) ?? (await lookUp(false))
  let refreshed = false
  let failure: unknown
  const tried = new Set<string>()
  for (;;) {
    const { pds } = account
    const source = [upstream, pds].find((one) => one !== undefined && !tried.has(one))
    if (source === undefined) break
    try {
      return await fetchFrom(source, did, account, options, signal)
    } catch (error) {
      signal.throwIfAborted()
      failure = error
      // The account's own host decides; what a mirror does not have proves nothing.
      const isGone = error instanceof RepoUnavailableError && source === pds
      if (!isGone && codeOf(error) !== 'InvalidSignature') tried.add(source)
      else if (refreshed) {
        if (isGone) throw await confirmGone(error, source, options, signal)
        tried.add(source)
      } else {
        // The key may be an old one, or the host one that the account has left.
        refreshed = true
        account = await lookUp(true)
        if (isGone && account.pds === pds) throw await confirmGone(error, source, options, signal)
        if (isGone) tried.add(source)
      }
    }
  }
  if (failure instanceof FetchFailedError) throw failure
  const reason = failure instanceof Error ? failure.message : 'account names no host'
  throw new FetchFailedError(did, reason, { cause: failure })
}

/** @throws {FetchFailedError} when it cannot be told now who the account is. */
export async function resolveAccount(
  did: string,
  identity: IdentitySource,
  refresh: boolean,
  signal: AbortSignal,
): Promise<AccountIdentity> {
  try {
    return await identity.resolve(did, { refresh, signal })
  } catch (cause) {
    signal.throwIfAborted()
    throw new FetchFailedError(did, 'account cannot be resolved', { cause })
  }
}

/** What to throw for an account that its host says is gone: "not found" is asked about once more. */
async function confirmGone(
  error: RepoUnavailableError,
  source: string,
  options: FetchRepoOptions,
  signal: AbortSignal,
): Promise<Error> {
  if (error.status !== 'deleted') return error
  const { host } = new URL(source)
  const answer = await query(
    source,
    'com.atproto.sync.getRepoStatus',
    { did: error.did },
    { fetch: fetchOf(options), signal, timeoutMs: STATUS_TIMEOUT_MS },
  )
  if ('error' in answer) {
    return answer.error === 'RepoNotFound'
      ? error
      : new FetchFailedError(host, answer.error, { status: answer.status })
  }
  const { active, status } = await readJson(answer, host, MAX_STATUS_BYTES)
  if (active !== false) return new FetchFailedError(host, 'RepoNotFound')
  const known = typeof status === 'string' && STATUSES.has(status) ? status : 'deactivated'
  return new RepoUnavailableError(error.did, known)
}

/** How a `fetch` for repositories is made. */
export interface RepoFetchOptions {
  /** Base URL of a service the caller named: it is asked wherever it is. */
  readonly trusted: string | undefined
  readonly maxBytes?: number | undefined
  readonly timeoutMs?: number | undefined
  readonly clock?: Clock | undefined
}

/**
 * What asks hosts when no `fetch` was handed in: the service that was named, and otherwise only public hosts, also where
 * that service points elsewhere. A redirect may say when to follow it: a relay so gives each of those who want the same
 * repository at once a turn at its host.
 */
export function createRepoFetch({
  trusted,
  maxBytes = DEFAULT_MAX_REPO_BYTES,
  timeoutMs = DEFAULT_TIMEOUT_MS,
  clock = systemClock,
}: RepoFetchOptions): FetchLike {
  const guarded = createGuardedFetch({ maxBytes, timeoutMs })
  return async (url, init) => {
    if (trusted === undefined || new URL(url).origin !== new URL(trusted).origin)
      return await guarded(url, init)
    const response = await globalThis.fetch(url, { ...init, redirect: 'manual' })
    const location = response.headers.get('location')
    if (response.status < 300 || response.status > 399 || location === null) return response
    await response.body?.cancel()
    const turnMs = retryAfterMs(response.headers.get('retry-after')) ?? 0
    if (turnMs > 0) await clock.sleep(Math.min(turnMs, MAX_TURN_MS), init.signal)
    return await guarded(new URL(location, url).href, init)
  }
}

function fetchOf({ fetch, upstream, maxBytes, timeoutMs }: FetchRepoOptions): FetchLike {
  return fetch ?? createRepoFetch({ trusted: upstream, maxBytes, timeoutMs })
}

async function fetchFrom(
  source: string,
  did: string,
  { signingKey }: AccountIdentity,
  options: FetchRepoOptions,
  signal: AbortSignal,
): Promise<RepoCopy> {
  const { maxBytes = DEFAULT_MAX_REPO_BYTES, timeoutMs = DEFAULT_TIMEOUT_MS, minRev } = options
  if (!URL.canParse(source)) throw new FetchFailedError(did, 'account names no host')
  const { host } = new URL(source)
  if (signingKey === undefined) throw new FetchFailedError(host, 'account has no signing key')
  const within = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)])
  const response = await query(
    source,
    'com.atproto.sync.getRepo',
    { did },
    { fetch: fetchOf(options), signal: within, timeoutMs },
  )
  if ('error' in response) {
    const status = STATUS_OF.get(response.error)
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

function codeOf(error: unknown): unknown {
  return error !== null && typeof error === 'object' && 'code' in error ? error.code : undefined
}
