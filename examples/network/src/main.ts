// npm start [-- [--exit] [--data DIR] [--log LEVEL]]
import { once } from 'node:events'
import { runDemonstration } from './demonstration.ts'
import { startNetwork } from './network.ts'
import { readOptions } from './options.ts'
import { describeLogins, describeNetwork, describeStep } from './report.ts'

const options = readOptions(process.argv.slice(2))
const stop = new AbortController()
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stop.abort())

const started = performance.now()
await using network = await startNetwork(options.network)
console.log(describeNetwork(network, performance.now() - started))

const result = await runDemonstration({
  pds: network.pds,
  onStep: (step) => console.log(describeStep(step)),
  signal: stop.signal,
})
if (!result.ok) process.exitCode = stop.signal.aborted ? 0 : 1
if (!options.exit && !stop.signal.aborted) {
  console.log(describeLogins(result, network))
  await once(stop.signal, 'abort')
}
