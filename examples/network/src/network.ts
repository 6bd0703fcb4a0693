import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AtpAgent } from '@atproto/api'
import { devConfig as appViewConfig, startAppView, type AppView } from '@example/appview'
import { devConfig as pdsConfig, startPds, type Pds } from '@example/pds'
import { readConfig as readRelayConfig, startRelay, type RunningRelay } from '@example/relay'
import { startStatusphere, type Statusphere } from '@example/statusphere'
import { pino } from 'pino'
import { createNodeResolver } from '@skywright/identity/node'
import { createTestDns } from './test-dns.ts'
import { startPlcServer } from './plc-server.ts'
import { portOf, readPorts, writePorts } from './ports.ts'

export interface NetworkOptions {
  /** How many PDSes. @defaultValue 2 */
  readonly pds?: number
  /** Where every server keeps its data; kept when the network stops. Absent: a temporary folder, removed at the end. */
  readonly dataDirectory?: string
  /** What the servers log, as JSON lines on standard output. @defaultValue 'silent' */
  readonly logLevel?: 'silent' | 'error' | 'warn' | 'info' | 'debug'
}

/** Clients of `@atproto/api`, nobody signed in. */
export interface NetworkClients {
  /** One for each PDS, in order. */
  readonly pds: readonly AtpAgent[]
  readonly relay: AtpAgent
  readonly appView: AtpAgent
}

export interface NetworkPds {
  readonly url: string
  readonly did: string
  /** Handles of its accounts end in a dot and this. */
  readonly handleDomain: string
}

/** A whole network on loopback. Disposing it stops every server cleanly, in the order of the data's travel. */
export interface Network extends AsyncDisposable {
  readonly plc: { readonly url: string }
  readonly relay: RunningRelay
  readonly appView: AppView
  readonly pds: readonly NetworkPds[]
  readonly clients: NetworkClients
  readonly statusphere: Statusphere
  readonly dataDirectory: string
}

/**
 * Boots a PLC directory, PDSes, a relay, an AppView and a statusphere in this process, each on its own port of loopback and with its
 * own files, connected as they are in the world: by URL, DID document and WebSocket, never by a reference.
 *
 * @throws what Node throws when a port of an earlier run in the same folder is taken
 */
export async function startNetwork(options: NetworkOptions = {}): Promise<Network> {
  const { pds: pdsCount = 2, logLevel = 'silent' } = options
  await using resources = new AsyncDisposableStack()
  const dataDirectory = options.dataDirectory ?? mkdtempSync(join(tmpdir(), 'skywright-'))
  if (options.dataDirectory === undefined) {
    resources.defer(() => rmSync(dataDirectory, { recursive: true, force: true }))
  }
  const folder = (name: string): string => {
    const path = join(dataDirectory, name)
    mkdirSync(path, { recursive: true })
    return path
  }
  const ports = readPorts(dataDirectory, pdsCount)

  const plc = resources.use(await startPlcServer(folder('plc'), ports.plc))
  const dns = createTestDns()
  // Each server has a resolver of its own, as it would have on a machine of its own.
  const resolver = (): ReturnType<typeof createNodeResolver> =>
    createNodeResolver({ plcUrl: plc.url, dev: true, resolveTxt: dns.resolveTxt })

  const relay = resources.use(
    await startRelay(
      {
        ...readRelayConfig({}),
        port: ports.relay,
        dataDirectory: folder('relay'),
        plcUrl: plc.url,
        development: true,
        logLevel,
      },
      { resolver: resolver() },
    ),
  )
  const appView = resources.use(
    await startAppView(
      appViewConfig(
        { dataDirectory: folder('appview'), plcUrl: plc.url, relay: relay.url },
        { port: ports.appView, logLevel },
      ),
      { resolver: resolver() },
    ),
  )
  const pds: NetworkPds[] = []
  for (const [index, port] of ports.pds.entries()) {
    const handleDomain = `pds${index + 1}.test`
    const server: Pds = resources.use(
      await startPds(
        pdsConfig(folder(`pds${index + 1}`), plc.url, {
          port,
          handleDomains: [`.${handleDomain}`],
          relays: [relay.url],
          appView: { url: appView.url, did: appView.did },
          logLevel,
        }),
        { resolver: resolver() },
      ),
    )
    dns.delegate(handleDomain, server.url)
    pds.push({ url: server.url, did: server.did, handleDomain })
  }
  const logger = pino({ name: 'statusphere', level: logLevel })
  const statusphere = resources.use(
    await startStatusphere({
      host: 'localhost',
      port: ports.statusphere,
      data: folder('statusphere'),
      plc: plc.url,
      relay: relay.url,
      dev: true,
      onIssue: (issue) => logger.warn({ issue }, 'statusphere'),
      resolver: resolver(),
    }),
  )
  writePorts(dataDirectory, {
    plc: portOf(plc.url),
    relay: portOf(relay.url),
    appView: portOf(appView.url),
    pds: pds.map((server) => portOf(server.url)),
    statusphere: portOf(statusphere.url),
  })
  const clientOf = (service: string): AtpAgent => new AtpAgent({ service })
  const running = resources.move()
  return {
    plc,
    relay,
    appView,
    pds,
    clients: {
      pds: pds.map(({ url }) => clientOf(url)),
      relay: clientOf(relay.url),
      appView: clientOf(appView.url),
    },
    statusphere,
    dataDirectory,
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  }
}
