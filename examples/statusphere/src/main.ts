import { once } from 'node:events'
import { readConfig } from './config.ts'
import { startStatusphere } from './server.ts'

const stop = new AbortController()
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stop.abort())

try {
  await using statusphere = await startStatusphere(readConfig(process.env))
  console.log(`statusphere listening on ${statusphere.url}`)
  if (!stop.signal.aborted) await once(stop.signal, 'abort')
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
}
