import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AtpAgent } from '@atproto/api'
import { pino, type Logger } from 'pino'
import { createMemoryPlcStore, createPlcDirectory } from '@skywright/identity/plc-directory'
import {
  devConfig,
  startPds,
  type Pds,
  type PdsConfig,
  type PdsDependencies,
} from '../src/index.ts'

/** Where the in-process PLC directory pretends to be. */
export const PLC_URL = 'http://plc.test'
export const PASSWORD = 'correct horse'

/** A fetch that reaches an in-process PLC directory under {@link PLC_URL}, and everything else for real. */
export function createPlcFetch(): typeof globalThis.fetch {
  const directory = createPlcDirectory({ store: createMemoryPlcStore() })
  return (input, init) => {
    const request = new Request(input, init)
    return request.url.startsWith(PLC_URL) ? directory.fetch(request) : globalThis.fetch(request)
  }
}

/** A temporary folder, removed when disposed. */
export async function temporaryFolder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'pds-test-'))
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}

export interface TestPds extends AsyncDisposable {
  readonly pds: Pds
  readonly url: string
  readonly folder: string
  readonly fetch: typeof globalThis.fetch
  /** A client without a session. */
  agent(): AtpAgent
  /** A client of a new account. */
  account(name: string): Promise<TestAccount>
}

export interface TestAccount {
  readonly agent: AtpAgent
  readonly did: string
  readonly handle: string
  readonly accessJwt: string
  readonly refreshJwt: string
}

/** A server with its own folder and PLC directory. */
export async function startTestPds(
  overrides: Partial<PdsConfig> = {},
  dependencies: PdsDependencies = {},
): Promise<TestPds> {
  const folder = await temporaryFolder()
  const { fetch = createPlcFetch() } = dependencies
  const pds = await startPds(devConfig(folder.path, PLC_URL, overrides), { ...dependencies, fetch })
  const agent = (): AtpAgent => new AtpAgent({ service: pds.url })
  return {
    pds,
    url: pds.url,
    folder: folder.path,
    fetch,
    agent,
    async account(name) {
      const client = agent()
      const handle = `${name}.test`
      const { data } = await client.createAccount({
        handle,
        email: `${name}@example.com`,
        password: PASSWORD,
      })
      const { did, accessJwt, refreshJwt } = data
      return { agent: client, did, handle, accessJwt, refreshJwt }
    },
    async [Symbol.asyncDispose]() {
      await pds[Symbol.asyncDispose]()
      await folder[Symbol.asyncDispose]()
    },
  }
}

/** A log that says nothing and keeps the confirmation codes that go to it. */
export function collectCodes(): { readonly log: Logger; readonly codes: string[] } {
  const codes: string[] = []
  const log = pino(
    { base: null },
    {
      write(line: string) {
        const { code } = JSON.parse(line) as { readonly code?: string }
        if (code !== undefined) codes.push(code)
      },
    },
  )
  return { log, codes }
}

/** What came back from a bare HTTP call. */
export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly body: unknown
}

/** Calls a method without any client in between, to see the bare answer. */
export async function call(
  url: string,
  nsid: string,
  options: {
    readonly params?: Record<string, string> | string
    readonly token?: string
    readonly json?: unknown
    readonly body?: BodyInit
    readonly method?: string
    readonly headers?: Record<string, string>
  } = {},
): Promise<Answer> {
  const {
    params,
    token,
    json,
    body = json === undefined ? undefined : JSON.stringify(json),
  } = options
  const query = params === undefined ? '' : `?${new URLSearchParams(params).toString()}`
  const response = await fetch(`${url}/xrpc/${nsid}${query}`, {
    method: options.method ?? (body === undefined ? 'GET' : 'POST'),
    headers: {
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(json === undefined ? {} : { 'content-type': 'application/json' }),
      ...options.headers,
    },
    ...(body === undefined ? {} : { body }),
  })
  const text = await response.text()
  const isJson = response.headers.get('content-type')?.startsWith('application/json') === true
  return {
    status: response.status,
    headers: response.headers,
    body: isJson ? JSON.parse(text) : text,
  }
}
