import { join } from 'node:path'
import { openSqlitePlcStore, servePlcDirectory } from '@skywright/identity/node'
import { createPlcDirectory } from '@skywright/identity/plc-directory'

/** A did:plc directory that keeps its log in a file. */
export interface PlcServer extends AsyncDisposable {
  readonly url: string
}

/** A did:plc directory on a port of loopback, its log in `dataDirectory`. */
export async function startPlcServer(dataDirectory: string, port: number): Promise<PlcServer> {
  const store = openSqlitePlcStore({ database: join(dataDirectory, 'plc.sqlite') })
  // In a sandbox accounts are changed faster than the public directory allows.
  const directory = createPlcDirectory({ store, rateLimits: false })
  const server = await servePlcDirectory({ directory, port })
  return {
    url: server.url,
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]()
      store[Symbol.dispose]()
    },
  }
}
