import { once } from 'node:events'
import { parseArgs } from 'node:util'
import { startStatusphere } from './server.ts'

const { values } = parseArgs({
  options: {
    host: { type: 'string', default: 'localhost' },
    port: { type: 'string', default: '3000' },
    data: { type: 'string', default: 'data' },
    relay: { type: 'string', default: 'https://bsky.network' },
    plc: { type: 'string', default: 'https://plc.directory' },
    dev: { type: 'boolean', default: false },
  },
})
const port = Number(values.port)
await using statusphere = await startStatusphere({ ...values, port, onIssue: console.warn })
console.log(`statusphere listening on ${statusphere.url}`)
await Promise.race(['SIGINT', 'SIGTERM'].map((name) => once(process, name)))
