import { once } from 'node:events'
import { readConfig } from './config.ts'
import { startAppView } from './server.ts'

const stop = new AbortController()
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stop.abort())

try {
  await using appView = await startAppView(readConfig(process.env))
  console.log(`AppView ${appView.did} listening on ${appView.url}`)
  if (!stop.signal.aborted) await once(stop.signal, 'abort')
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
}
