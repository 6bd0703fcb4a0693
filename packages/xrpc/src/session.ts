import { collect } from './body.ts'
import { capped, MAX_RESPONSE_BYTES } from './client.ts'
import { readErrorResponse } from './error-response.ts'
import {
  AuthRequiredError,
  ConnectionError,
  InvalidResponseError,
  NotFoundError,
  XrpcError,
} from './errors.ts'
import type { FetchLike } from './fetch-like.ts'

/** What a session is made of. Plain data, to be kept as JSON; both tokens are secrets. */
export interface SessionData {
  readonly did: string
  readonly handle: string
  readonly accessJwt: string
  readonly refreshJwt: string
  /** Origin that serves the account, its PDS. */
  readonly service: string
  readonly email?: string
  readonly active?: boolean
  readonly status?: string
}

/** Options of {@link createSession} and {@link resumeSession}. */
export interface SessionOptions {
  /** @defaultValue the global `fetch` */
  readonly fetch?: FetchLike
  /** Told about new tokens, to keep them, and `undefined` when the session has ended. */
  readonly onChange?: (data: SessionData | undefined) => void | Promise<void>
}

/** Finds the PDS of a handle or DID: the resolver of `@skywright/identity`. */
export interface AccountResolver {
  resolveIdentity(
    didOrHandle: string,
    options?: { readonly signal?: AbortSignal },
  ): Promise<{ readonly did: string; readonly pds?: string | undefined }>
}

/** Options of {@link createSession}. */
export interface LoginOptions extends SessionOptions {
  /** Origin to log in at: the account's PDS, or its entryway. Or the `resolver` that finds the PDS of any account. */
  readonly service: string | AccountResolver
  /** Handle, DID or e-mail address; with a resolver no address. */
  readonly identifier: string
  /** Password, better an app password. */
  readonly password: string
  /** Code of the second factor, when the server asked for one. */
  readonly authFactorToken?: string
  readonly signal?: AbortSignal
}

/** A logged-in account. Give its `fetch` and `service` to a client. */
export interface Session {
  readonly did: string
  /** Origin that serves the account. */
  readonly service: string
  /** The tokens as they are now; `undefined` once the session has ended. */
  readonly data: SessionData | undefined
  /**
   * Sends requests as the account. When the access token has expired it is refreshed, once however many calls wait,
   * and the request repeated; one whose body is a stream cannot be and fails, with the new token ready for the next.
   */
  readonly fetch: FetchLike
  /** Refreshes the tokens now. Concurrent calls share one refresh. */
  refresh(): Promise<void>
  /** Ends the session at the server and here. */
  logout(): Promise<void>
}

/**
 * Logs in with a password. With a resolver, at the PDS of the account, whose answer must be for that account: the URL and
 * the server are the choice of strangers then, so hand in a `fetch` that refuses private addresses.
 *
 * @throws {AuthRequiredError} when identifier and password do not fit, or a second factor is needed
 * @throws {XrpcError} when the server refuses for another reason
 * @throws {ConnectionError} when it does not answer
 * @throws {InvalidResponseError} when it answers with something else, or for another account than was resolved
 * @throws {NotFoundError} when the account has no PDS; and what the resolver throws
 */
export async function createSession(options: LoginOptions): Promise<Session> {
  const { password, authFactorToken, signal } = options
  const { service, did } = await findAccount(options)
  const body = {
    identifier: did ?? options.identifier,
    password,
    ...(authFactorToken === undefined ? {} : { authFactorToken }),
  }
  const json = await call(options, service, 'com.atproto.server.createSession', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
    ...(signal === undefined ? {} : { signal }),
  })
  const data = readSession(json, service)
  if (did !== undefined && data.did !== did)
    throw new InvalidResponseError('com.atproto.server.createSession', 200, 'another account')
  const session = new PasswordSession(data, options)
  await options.onChange?.(session.data)
  return session
}

async function findAccount({
  service,
  identifier,
  signal,
}: LoginOptions): Promise<{ service: string; did?: string }> {
  if (typeof service === 'string') return { service: new URL(service).origin }
  const { did, pds } = await service.resolveIdentity(
    identifier,
    signal === undefined ? {} : { signal },
  )
  if (pds === undefined) throw new NotFoundError(`the account has no PDS; did=${did}`)
  return { service: new URL(pds).origin, did }
}

/** Takes up a session kept by `onChange`. Asks nothing of the server until it is used. */
export function resumeSession(data: SessionData, options: SessionOptions = {}): Session {
  return new PasswordSession(data, options)
}

class PasswordSession implements Session {
  readonly did: string
  readonly fetch: FetchLike
  readonly #options: SessionOptions
  #service: string
  #data: SessionData | undefined
  #refreshing: Promise<void> | undefined

  constructor(data: SessionData, options: SessionOptions) {
    this.did = data.did
    this.#service = data.service
    this.#data = data
    this.#options = options
    this.fetch = async (url, init) => this.#fetch(url, init)
  }

  get service(): string {
    return this.#service
  }

  get data(): SessionData | undefined {
    return this.#data
  }

  async refresh(): Promise<void> {
    if (this.#refreshing !== undefined) return this.#refreshing
    const refreshing = this.#refresh().finally(() => {
      if (this.#refreshing === refreshing) this.#refreshing = undefined
    })
    this.#refreshing = refreshing
    return refreshing
  }

  async logout(): Promise<void> {
    const data = this.#data
    if (data === undefined) return
    await this.#end()
    await call(this.#options, data.service, 'com.atproto.server.deleteSession', {
      method: 'POST',
      headers: { authorization: `Bearer ${data.refreshJwt}` },
    })
  }

  async #fetch(url: string, init: RequestInit): Promise<Response> {
    await this.#refreshing
    const token = this.#data?.accessJwt
    if (token === undefined) throw new AuthRequiredError('the session has ended')
    // The token is for this account's server; a client pointed elsewhere must not hand it out.
    if (new URL(url).origin !== this.#service) return sendWith(this.#options, url, init)
    const response = await sendWith(this.#options, url, withToken(init, token))
    if (!(await hasExpired(response))) return response
    if (this.#data?.accessJwt === token) await this.refresh()
    const fresh = this.#data?.accessJwt
    if (fresh === undefined || init.body instanceof ReadableStream) return response
    await response.body?.cancel()
    return sendWith(this.#options, url, withToken(init, fresh))
  }

  async #refresh(): Promise<void> {
    const data = this.#data
    if (data === undefined) throw new AuthRequiredError('the session has ended')
    let json: unknown
    try {
      json = await call(this.#options, data.service, 'com.atproto.server.refreshSession', {
        method: 'POST',
        headers: { authorization: `Bearer ${data.refreshJwt}` },
      })
    } catch (error) {
      // Only a refusal ends the session; a server that is down gets another chance.
      if (error instanceof XrpcError && (error.status === 400 || error.status === 401)) {
        await this.#end()
      }
      throw error
    }
    const fresh = readSession(json, data.service)
    if (fresh.did !== data.did) {
      await this.#end()
      throw new InvalidResponseError('com.atproto.server.refreshSession', 200, 'another account')
    }
    this.#data = fresh
    this.#service = fresh.service
    await this.#changed(fresh)
  }

  async #end(): Promise<void> {
    this.#data = undefined
    await this.#changed(undefined)
  }

  /** The tokens are in place, so calls that the callback makes itself must not wait for the refresh it is part of. */
  async #changed(data: SessionData | undefined): Promise<void> {
    this.#refreshing = undefined
    await this.#options.onChange?.(data)
  }
}

function withToken(init: RequestInit, token: string): RequestInit {
  const headers = new Headers(init.headers)
  headers.set('authorization', `Bearer ${token}`)
  return { ...init, headers }
}

async function hasExpired(response: Response): Promise<boolean> {
  if (response.status !== 400 && response.status !== 401) return false
  const { error } = await readErrorResponse(response.clone())
  return error === 'ExpiredToken'
}

async function sendWith(
  options: SessionOptions,
  url: string,
  init: RequestInit,
): Promise<Response> {
  const { fetch = globalThis.fetch } = options
  return fetch(url, init)
}

async function call(
  options: SessionOptions,
  service: string,
  nsid: string,
  init: RequestInit,
): Promise<unknown> {
  let response: Response
  try {
    response = await sendWith(options, `${service}/xrpc/${nsid}`, init)
  } catch (cause) {
    init.signal?.throwIfAborted()
    throw new ConnectionError(nsid, { cause })
  }
  if (!response.ok) throw await readErrorResponse(response)
  try {
    const bytes = await collect(capped(response, nsid, MAX_RESPONSE_BYTES))
    return bytes.length === 0 ? undefined : (JSON.parse(new TextDecoder().decode(bytes)) as unknown)
  } catch (cause) {
    if (cause instanceof InvalidResponseError) throw cause
    if (!(cause instanceof SyntaxError)) throw new ConnectionError(nsid, { cause })
    throw new InvalidResponseError(nsid, response.status, 'not JSON', { cause })
  }
}

function readSession(json: unknown, service: string): SessionData {
  const { did, handle, accessJwt, refreshJwt, email, active, status, didDoc } = (json ??
    {}) as Readonly<Record<string, unknown>>
  if (
    typeof did !== 'string' ||
    typeof handle !== 'string' ||
    typeof accessJwt !== 'string' ||
    typeof refreshJwt !== 'string'
  ) {
    throw new InvalidResponseError('com.atproto.server.createSession', 200, 'not a session')
  }
  return {
    did,
    handle,
    accessJwt,
    refreshJwt,
    service: pdsOf(didDoc, service) ?? service,
    ...(typeof email === 'string' ? { email } : {}),
    ...(typeof active === 'boolean' ? { active } : {}),
    ...(typeof status === 'string' ? { status } : {}),
  }
}

/** Origin of the PDS in the DID document that came with the session; plain http only where the login was too. */
function pdsOf(document: unknown, service: string): string | undefined {
  const { service: services } = (document ?? {}) as { readonly service?: unknown }
  if (!Array.isArray(services)) return undefined
  for (const entry of services as readonly unknown[]) {
    const { id, serviceEndpoint } = (entry ?? {}) as Readonly<Record<string, unknown>>
    if (typeof id !== 'string' || !id.endsWith('#atproto_pds')) continue
    if (typeof serviceEndpoint !== 'string' || !URL.canParse(serviceEndpoint)) return undefined
    const { protocol, origin } = new URL(serviceEndpoint)
    return protocol === 'https:' || service.startsWith(`${protocol}//`) ? origin : undefined
  }
  return undefined
}
