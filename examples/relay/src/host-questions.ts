import { parseDid } from '@skywright/identity'
import { isPath, isTid, parseCid } from '@skywright/repo'
import { SERVER_NAME } from './host-check.ts'
import { readBounded } from './read-bounded.ts'

const TIMEOUT_MS = 10_000
/** Repositories asked for at once, the most the protocol allows. */
const PAGE_REPOS = 1_000
/** A page of a thousand has some 150 kB. */
const MAX_PAGE_BYTES = 1_000_000
const MAX_DESCRIPTION_BYTES = 262_144
/** Collections of one account that are taken. */
const MAX_COLLECTIONS = 1_000
const MAX_CURSOR_LENGTH = 2_048

/** A repository as its host lists it. */
export interface ListedRepo {
  readonly did: string
  readonly rev: string
  /** Signed commit, as CID text. */
  readonly head: string
}

/** A host did not answer a question as it should. */
export class HostAnswerError extends Error {
  override readonly name = 'HostAnswerError'
  readonly code = 'HostAnswer'

  constructor(question: string, problem: string, options?: ErrorOptions) {
    super(`${question}: ${problem}`, options)
  }
}

export interface QuestionOptions {
  readonly fetch: typeof globalThis.fetch
  readonly signal: AbortSignal
}

/**
 * One page of the active repositories of a host. Entries that are none are left out.
 *
 * @throws {HostAnswerError}
 */
export async function askForRepos(
  { url, cursor }: { readonly url: string; readonly cursor: string | undefined },
  options: QuestionOptions,
): Promise<{ readonly repos: readonly ListedRepo[]; readonly cursor: string | undefined }> {
  const answer = await ask(
    url,
    'com.atproto.sync.listRepos',
    { limit: String(PAGE_REPOS), ...(cursor === undefined ? {} : { cursor }) },
    MAX_PAGE_BYTES,
    options,
  )
  const { repos, cursor: next } = answer ?? {}
  if (!Array.isArray(repos)) throw new HostAnswerError('listRepos', 'no repositories in the answer')
  const isMore = typeof next === 'string' && next !== '' && repos.length > 0
  if (isMore && next.length > MAX_CURSOR_LENGTH)
    throw new HostAnswerError('listRepos', 'its cursor is too long')
  return {
    repos: repos.slice(0, PAGE_REPOS).flatMap((repo: unknown) => toListedRepo(repo)),
    cursor: isMore ? next : undefined,
  }
}

/**
 * Names of the collections of an account; none when the host does not describe it.
 *
 * @throws {HostAnswerError}
 */
export async function askForCollections(
  { url, did }: { readonly url: string; readonly did: string },
  options: QuestionOptions,
): Promise<readonly string[]> {
  const nsid = 'com.atproto.repo.describeRepo'
  const answer = await ask(url, nsid, { repo: did }, MAX_DESCRIPTION_BYTES, options)
  const { collections } = answer ?? {}
  if (!Array.isArray(collections)) return []
  return collections
    .slice(0, MAX_COLLECTIONS)
    .filter((name: unknown) => typeof name === 'string' && isPath(`${name}/self`))
}

/** @returns the answer's object; `undefined` when the host refuses this one question. */
async function ask(
  url: string,
  nsid: string,
  parameters: Readonly<Record<string, string>>,
  maxBytes: number,
  { fetch, signal }: QuestionOptions,
): Promise<Readonly<Record<string, unknown>> | undefined> {
  const target = new URL(`/xrpc/${nsid}`, url)
  for (const [name, value] of Object.entries(parameters)) target.searchParams.set(name, value)
  try {
    const response = await fetch(target.href, {
      redirect: 'error',
      signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
      headers: { accept: 'application/json', 'user-agent': SERVER_NAME },
    })
    const { status } = response
    const text = await readBounded(response, maxBytes)
    if (status === 400 || status === 404) return undefined
    if (!response.ok) throw new HostAnswerError(nsid, `status ${String(status)}`)
    if (text === undefined) throw new HostAnswerError(nsid, 'the answer is too long')
    const value: unknown = JSON.parse(text)
    if (value === null || typeof value !== 'object')
      throw new HostAnswerError(nsid, 'the answer is no object')
    // A JSON object; its fields are checked by the caller.
    return value as Record<string, unknown>
  } catch (cause) {
    if (cause instanceof HostAnswerError) throw cause
    throw new HostAnswerError(nsid, 'no answer, or none in JSON', { cause })
  }
}

function toListedRepo(repo: unknown): ListedRepo[] {
  if (repo === null || typeof repo !== 'object') return []
  if (!('did' in repo && 'rev' in repo && 'head' in repo)) return []
  const { did, rev, head } = repo
  if ('active' in repo && repo.active === false) return []
  if (typeof did !== 'string' || !parses(() => parseDid(did, { dev: true }))) return []
  if (typeof rev !== 'string' || !isTid(rev)) return []
  return typeof head === 'string' && parses(() => parseCid(head)) ? [{ did, rev, head }] : []
}

function parses(parse: () => unknown): boolean {
  try {
    parse()
    return true
  } catch {
    return false
  }
}
