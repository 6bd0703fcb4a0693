import { once } from 'node:events'
import { ConfigError, readConfig } from './config.ts'
import { startRelay } from './server.ts'

const stop = new AbortController()
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stop.abort())

try {
  await using relay = await startRelay(readConfig(process.env))
  console.log(`relay listening on ${relay.url}`)
  const end = AbortSignal.any([stop.signal, relay.failure])
  if (!end.aborted) await once(end, 'abort')
  relay.failure.throwIfAborted()
} catch (error) {
  if (!(error instanceof ConfigError)) throw error
  console.error(error.message)
  process.exitCode = 1
}
