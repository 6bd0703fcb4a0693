import { createGuardedFetch, type IdentityResolver } from '@skywright/identity'
import { InvalidSignatureError, parsePath, verifyRepo } from '@skywright/repo'

import type { RepoFetcher, RepoFetchResult, SnapshotRecord } from '../event.ts'
import { HostGate } from './host-gate.ts'
import { startPace } from './pace.ts'

/** Options of {@link createRepoFetcher}. */
export interface RepoFetcherOptions {
  readonly resolver: Pick<IdentityResolver, 'resolveIdentity'>
  /**
   * Asks the PDSes, whose URLs come from other people's DID documents. A server hands in `createSafeFetch` of
   * `@skywright/identity/node`, which also checks the addresses behind names.
   * @defaultValue `createGuardedFetch` of `@skywright/identity`: https on public hosts alone
   */
  readonly fetch?: typeof globalThis.fetch
  /** Largest CAR accepted, in bytes. @defaultValue 512 MiB */
  readonly maxBytes?: number
  /** Longest time for one repo, in milliseconds. @defaultValue 10 minutes */
  readonly timeoutMs?: number
  /** Repos fetched from one host at a time, a whole number. @defaultValue 4 */
  readonly perHost?: number
  /** A host that sends less than 32 KiB in this time is given up, in milliseconds. @defaultValue 30 seconds */
  readonly stallMs?: number
  /** Unix milliseconds. @defaultValue Date.now */
  readonly now?: () => number
}

const DEFAULT_MAX_BYTES = 512 * 1024 * 1024
const DEFAULT_TIMEOUT_MS = 600_000
const DEFAULT_STALL_MS = 30_000
const DEFAULT_PER_HOST = 4
/** How long a host is left alone that says "too many requests" and not for how long. */
const DEFAULT_PAUSE_MS = 60_000
/** How long one is left alone that asks for less. */
const MIN_PAUSE_MS = 1_000
/** Error answers are a line of JSON; more is not read. */
const MAX_ERROR_BYTES = 16_384

/** What the errors of `com.atproto.sync.getRepo` say about an account. */
const STATUS_BY_ERROR: Readonly<Record<string, string>> = {
  RepoTakendown: 'takendown',
  RepoSuspended: 'suspended',
  RepoDeactivated: 'deactivated',
}

/**
 * Fetches repos from the PDS that the DID document names and proves them completely: every hash, the tree, the
 * signature. After a wrong signature, an unknown repo or an inactive account the identity is looked up afresh once,
 * because accounts move. Redirects to other hosts are refused.
 *
 * A PDS that does not know the repo is asked by `getRepoStatus` before the account counts as deleted. One that has enough
 * to do, or says so (429, or 503 with `Retry-After`), is left alone for a while, an hour at most: the answer is `busy`.
 *
 * @throws {RangeError} when `perHost` is no whole number above zero
 */
export function createRepoFetcher(options: RepoFetcherOptions): RepoFetcher {
  const { resolver, maxBytes = DEFAULT_MAX_BYTES, timeoutMs = DEFAULT_TIMEOUT_MS } = options
  const { fetch = createGuardedFetch({ maxBytes, timeoutMs }), stallMs = DEFAULT_STALL_MS } =
    options
  const { perHost = DEFAULT_PER_HOST, now = Date.now } = options
  const gate = new HostGate(perHost, now)
  const hosts: Hosts = { resolver, maxBytes, stallMs, fetch, now, gate }
  return async (did, { signal, attempt = 1 }) => {
    const both = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)])
    try {
      const found = await fetchFrom(hosts, did, both, attempt > 1)
      // An account that moved is deactivated where it was: only the PDS it names now tells what it is.
      if (found?.kind === 'snapshot' || found?.kind === 'busy') return found
    } catch (error) {
      if (!(error instanceof InvalidSignatureError)) throw error
    }
    const moved = await fetchFrom(hosts, did, both, true)
    if (moved !== undefined) return moved
    const { pds } = await resolver.resolveIdentity(did, { signal: both })
    return repoStatus(hosts, did, pds ?? '', both)
  }
}

/** Who is asked, and how. */
type Hosts = Required<
  Pick<RepoFetcherOptions, 'resolver' | 'maxBytes' | 'stallMs' | 'fetch' | 'now'>
> & { readonly gate: HostGate }

/** The verified repo or the account's status; undefined when the PDS does not know it. */
async function fetchFrom(
  hosts: Hosts,
  did: string,
  signal: AbortSignal,
  refresh: boolean,
): Promise<RepoFetchResult | undefined> {
  const { resolver, maxBytes, stallMs, gate } = hosts
  const { pds, signingKey } = await resolver.resolveIdentity(did, { signal, refresh })
  if (pds === undefined || signingKey === undefined)
    throw new TypeError(`account names no usable PDS or key; did=${did}`)
  const host = hostOf(pds)
  const turn = await gate.enter(host, signal)
  if (typeof turn === 'number') return { kind: 'busy', host, retryAfterMs: turn }
  using _turn = turn
  using pace = startPace(stallMs)
  const both = AbortSignal.any([signal, pace.signal])
  const response = await ask(hosts, pds, 'com.atproto.sync.getRepo', did, both)
  if (!response.ok || response.body === null) {
    const busy = await whenBusy(hosts, host, response)
    if (busy !== undefined) return busy
    const name = await errorName(response)
    if (name === 'RepoNotFound') return undefined
    const status = STATUS_BY_ERROR[name]
    if (status !== undefined) return { kind: 'status', active: false, status, host }
    throw new TypeError(`getRepo failed; did=${did} status=${response.status} error=${name}`)
  }
  const repo = await verifyRepo(pace.watch(response.body), {
    did,
    key: signingKey,
    mode: 'tolerant',
    maxBytes,
    signal: both,
  })
  const snapshot = { did, rev: repo.rev, data: repo.data.bytes, records: recordsOf(repo) }
  return { kind: 'snapshot', snapshot, host }
}

/** Leaves a host alone whose answer asks for it, if it does; whatever else the answer says counts for nothing. */
async function whenBusy(
  { gate, now }: Hosts,
  host: string,
  response: Response,
): Promise<RepoFetchResult | undefined> {
  const { status, headers, body } = response
  const askedMs = retryAfterMs(headers.get('retry-after') ?? '', now())
  if (status !== 429 && (status !== 503 || askedMs === undefined)) return undefined
  await body?.cancel()
  return { kind: 'busy', host, retryAfterMs: gate.pause(host, askedMs ?? DEFAULT_PAUSE_MS) }
}

/**
 * `Retry-After` in milliseconds, at least a second; undefined for what cannot be read.
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3}
 */
function retryAfterMs(value: string, now: number): number | undefined {
  const isDate = /^[A-Z][a-z]{2}, .* GMT$/.test(value)
  const ms = isDate
    ? Date.parse(value) - now
    : /^\d{1,9}$/.test(value)
      ? Number(value) * 1_000
      : NaN
  return Number.isNaN(ms) ? undefined : Math.max(MIN_PAUSE_MS, ms)
}

function* recordsOf(repo: Awaited<ReturnType<typeof verifyRepo>>): Generator<SnapshotRecord> {
  for (const { path, cid, bytes } of repo.records()) {
    const { collection, rkey } = parsePath(path)
    yield { collection, rkey, cid: cid.bytes, record: bytes }
  }
}

async function repoStatus(
  hosts: Hosts,
  did: string,
  pds: string,
  signal: AbortSignal,
): Promise<RepoFetchResult> {
  const response = await ask(hosts, pds, 'com.atproto.sync.getRepoStatus', did, signal)
  if (response.ok) {
    const body = parseObject(await readText(response))
    const active = body['active'] === true
    const status = body['status']
    // Hosted there after all: the repo itself could not be had now.
    if (active) throw new TypeError(`the PDS hosts the account but not its repo; did=${did}`)
    const host = hostOf(pds)
    return { kind: 'status', active, status: typeof status === 'string' ? status : 'unknown', host }
  }
  const busy = await whenBusy(hosts, hostOf(pds), response)
  if (busy !== undefined) return busy
  const name = await errorName(response)
  if (name === 'RepoNotFound')
    return { kind: 'status', active: false, status: 'deleted', host: hostOf(pds) }
  throw new TypeError(`getRepoStatus failed; did=${did} status=${response.status} error=${name}`)
}

function hostOf(pds: string): string {
  return new URL(pds).host
}

function ask(
  hosts: Hosts,
  pds: string,
  method: string,
  did: string,
  signal: AbortSignal,
): Promise<Response> {
  const url = new URL(`/xrpc/${method}`, pds)
  url.searchParams.set('did', did)
  return hosts.fetch(url, { signal, redirect: 'error' })
}

async function errorName(response: Response): Promise<string> {
  const name = parseObject(await readText(response))['error']
  return typeof name === 'string' ? name.slice(0, 100) : ''
}

function parseObject(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch {
    // Not JSON: not an answer of a PDS, so it says nothing.
    return {}
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
  return text.slice(0, MAX_ERROR_BYTES)
}
