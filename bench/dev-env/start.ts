// The reference PDS or PLC directory of @atproto/dev-env in a process of its own: prints its URL, stops on SIGTERM.
//   node start.ts pds PLC_URL
//   node start.ts plc
import { TestPds, TestPlc } from '@atproto/dev-env'

const [kind, didPlcUrl = ''] = process.argv.slice(2)
const service = kind === 'plc' ? await TestPlc.create({}) : await TestPds.create({ didPlcUrl })
console.log(service.url)
process.once('SIGTERM', () => {
  void service.close().finally(() => process.exit(0))
})
