import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { readConfig, startAppView } from '../../src/index.ts'

/**
 * A process that runs the AppView of its environment until each account it is told of has come to its revision, then
 * prints what is in the index. Own process: declarations are compared by their source text, which a test runner changes.
 */
const revs = new Map<string, string>(
  JSON.parse(process.env['INSPECT_REVS'] ?? '[]') as [string, string][],
)
await using appView = await startAppView(readConfig(process.env))
const { index } = appView

async function isComplete(): Promise<boolean> {
  const actors = await index.actors([...revs.keys()])
  return [...revs].every(([did, rev]) => actors.get(did)?.rev === rev)
}

const limit = AbortSignal.timeout(20_000)
while (!(await isComplete())) {
  const signal = AbortSignal.any([limit, AbortSignal.timeout(50)])
  await index.changed({ signal }).catch(() => undefined)
  limit.throwIfAborted()
}
const { rows } = await index.select('post').page({ limit: 1_000 })
const report = {
  stateHash: await index.stateHash(),
  audit: await index.audit(),
  posts: rows.map(({ uri }) => uri),
}
process.stdout.write(`${JSON.stringify(report)}\n`)
// Until the test has read it.
const input = createInterface({ input: process.stdin })
await once(input, 'close')
