// The reference PDS in a process of its own: prints its URL, stops on SIGTERM.
//   node reference-pds.ts DATA_DIRECTORY PLC_URL
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { randomBytes } from 'node:crypto'
import { createServer } from 'node:net'
import { once } from 'node:events'
import { PDS, envToCfg, envToSecrets, type ServerEnvironment } from '@atproto/pds'

const [dataDirectory = '', didPlcUrl = ''] = process.argv.slice(2)
mkdirSync(join(dataDirectory, 'blobs'), { recursive: true })
// It cannot listen on port 0: its own URL is part of its configuration.
const port = await freePort()
const env: ServerEnvironment = {
  port,
  hostname: 'localhost',
  devMode: true,
  dataDirectory,
  blobstoreDiskLocation: join(dataDirectory, 'blobs'),
  didPlcUrl,
  serviceHandleDomains: ['.test'],
  inviteRequired: false,
  disableSsrfProtection: true,
  rateLimitsEnabled: false,
  jwtSecret: randomBytes(16).toString('hex'),
  adminPassword: randomBytes(16).toString('hex'),
  plcRotationKeyK256PrivateKeyHex: randomBytes(32).toString('hex'),
  crawlers: [],
}
const pds = await PDS.create(envToCfg(env), envToSecrets(env))
await pds.start()
console.log(`http://localhost:${port}`)
process.once('SIGTERM', () => {
  void pds.destroy().then(() => process.exit(0))
})

async function freePort(): Promise<number> {
  const server = createServer().listen(0)
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no TCP address')
  return address.port
}
