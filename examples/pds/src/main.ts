import { once } from 'node:events'
import { ConfigError, readConfig, startPds } from './index.ts'

const stop = new AbortController()
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stop.abort())

try {
  await using server = await startPds(readConfig(process.env))
  console.log(JSON.stringify({ name: 'pds', msg: 'listening', url: server.url, port: server.port }))
  if (!stop.signal.aborted) await once(stop.signal, 'abort')
} catch (error) {
  console.error(error instanceof ConfigError ? error.message : error)
  process.exitCode = 1
}
