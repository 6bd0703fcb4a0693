import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createClient, type Client } from '@skywright/xrpc'
import { type FollowingRelay, readConfig, type RelayConfig, startRelay } from '../../src/index.ts'
import { relayLexicons, type RelayDocuments } from '../../src/lexicons.ts'
import type { RelayOverrides } from '../../src/server.ts'
import { type FakePlc, startFakePlc } from './plc.ts'
import { type FakeHost, type FakeHostOptions, startFakeHost } from './host.ts'

export const ADMIN_PASSWORD = 'a long password'
export const ADMIN_HEADERS: Readonly<Record<string, string>> = {
  authorization: `Basic ${btoa(`admin:${ADMIN_PASSWORD}`)}`,
}

/** A relay with its own directory and data folder. */
export interface TestNetwork extends AsyncDisposable {
  readonly plc: FakePlc
  readonly relay: FollowingRelay
  readonly client: Client<RelayDocuments>
  readonly directory: string
  startHost(options?: Omit<FakeHostOptions, 'plc'>): Promise<FakeHost>
  requestCrawl(hostname: string): Promise<void>
  restart(): Promise<void>
  /** Asks again and again until the answer is yes; fails after some seconds. */
  until(condition: () => Promise<boolean>, what: string): Promise<void>
}

const PATIENCE_MS = 10_000

export async function startTestNetwork(
  config: Partial<RelayConfig> = {},
  overrides: RelayOverrides = {},
): Promise<TestNetwork> {
  const stack = new AsyncDisposableStack()
  const directory = mkdtempSync(join(tmpdir(), 'relay-'))
  stack.defer(() => rmSync(directory, { recursive: true, force: true }))
  const plc = stack.use(await startFakePlc())
  const start = (): Promise<FollowingRelay> =>
    startRelay(
      {
        ...readConfig({}),
        port: 0,
        dataDirectory: directory,
        plcUrl: plc.url,
        development: true,
        adminPassword: ADMIN_PASSWORD,
        logLevel: 'silent',
        ...config,
      },
      overrides,
    )
  let relay = await start()
  stack.defer(() => relay[Symbol.asyncDispose]())
  const client = (): Client<RelayDocuments> =>
    createClient({ service: relay.url, lexicons: relayLexicons })
  return {
    plc,
    get relay() {
      return relay
    },
    get client() {
      return client()
    },
    directory,
    startHost: async (options = {}) => stack.use(await startFakeHost({ plc, ...options })),
    requestCrawl: async (hostname) => {
      await client().procedure('com.atproto.sync.requestCrawl', { hostname })
    },
    restart: async () => {
      await relay[Symbol.asyncDispose]()
      relay = await start()
    },
    until: async (condition, what) => {
      const deadline = performance.now() + PATIENCE_MS
      while (!(await condition())) {
        if (performance.now() > deadline) throw new Error(`waited in vain for ${what}`)
      }
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  }
}
