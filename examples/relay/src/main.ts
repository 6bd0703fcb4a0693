import { once } from 'node:events'
import { parseArgs } from 'node:util'
import { ConfigError, readConfig } from './config.ts'
import { startReplica } from './replica.ts'
import { startRelay } from './server.ts'

const stop = new AbortController()
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stop.abort())

try {
  const { upstream = process.env['RELAY_UPSTREAM'] } = parseArgs({
    options: { upstream: { type: 'string' } },
  }).values
  const config = readConfig({ ...process.env, RELAY_UPSTREAM: upstream })
  await using relay = await (config.upstream === undefined ? startRelay : startReplica)(config)
  console.log(`relay listening on ${relay.url}`)
  const end = AbortSignal.any([stop.signal, relay.failure])
  if (!end.aborted) await once(end, 'abort')
  relay.failure.throwIfAborted()
} catch (error) {
  if (!(error instanceof ConfigError)) throw error
  console.error(error.message)
  process.exitCode = 1
}
