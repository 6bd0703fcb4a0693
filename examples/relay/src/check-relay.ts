// Tells any relay what is true and what is not, and says what it made of it.
import { parseArgs } from 'node:util'
import {
  commitLies,
  playRelayCases,
  playRelayScenario,
  type RelayCaseResult,
  serveSimulatedNetwork,
  SimulatedNetwork,
} from '@skywright/firehose/testing'
import { openWebSocket } from '@skywright/firehose/ws'

const USAGE = `usage: check-relay [options] RELAY

Checks a relay on this machine. The relay must be started so that it resolves did:plc at
http://localhost:PORT (--plc-port) and may crawl hosts on localhost over http. Nobody else should read from it.

  --plc-port PORT      where the directory of the simulated network listens [2582]
  --lenient            the relay passes commits whose operations are not proven
  --reencodes          the relay may write events anew: what they say is compared, not their bytes
  --crawl-path PATH    path to ask for crawls at [/xrpc/com.atproto.sync.requestCrawl]
  --admin-password P   sent with that, as user admin
  --seconds N          silence after which an event is lost [10]`

/** How far the hosts' clocks stay behind the relay's: no revision is of the future unless that is the lie. */
const CLOCK_BEHIND_MS = 60_000

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}

async function check(
  relay: string,
  options: {
    readonly plcPort: number
    readonly isStrict: boolean
    readonly mayReencode: boolean
    readonly patienceMs: number
    readonly crawl: (hostname: string) => Promise<void>
  },
): Promise<boolean> {
  const start = Date.now() - CLOCK_BEHIND_MS
  let ticks = 0
  const network = await SimulatedNetwork.create({
    // Other accounts with every run: a relay remembers those it knows.
    seed: start % 1_000_000,
    hosts: 3,
    accounts: 0,
    now: () => Math.min(start + ticks++, Date.now() - CLOCK_BEHIND_MS / 2),
  })
  await using served = await serveSimulatedNetwork(network, options)
  const { isStrict, patienceMs, mayReencode, crawl } = options
  const { signal } = new AbortController()
  const told = {
    relay,
    network,
    served,
    open: openWebSocket,
    mayReencode,
    crawl,
    patienceMs,
    signal,
  }
  let failures = 0
  const report = ({ name, missing, forged, problems }: RelayCaseResult): void => {
    const isGood = missing.length + forged.length + problems.length === 0
    if (!isGood) failures++
    print(`${isGood ? 'ok    ' : 'FAILED'} ${name}`)
    for (const event of missing) print(`         lost   ${event}`)
    for (const event of forged) print(`         forged ${event}`)
    for (const problem of problems) print(`         ${problem}`)
  }
  const results = await playRelayCases({ ...told, isStrict })
  for (const result of results) report(result)
  if (isStrict) {
    const rounds = 2 * commitLies.length
    const result = await playRelayScenario({ ...told, rounds })
    const lies = [...result.told.values()].reduce((sum, count) => sum + count, 0)
    const name = `${String(lies)} lies of ${String(result.told.size)} kinds among truths`
    report({ ...result, name, problems: [] })
  }
  return failures === 0
}

/** What was asked for; `undefined` when that cannot be told. */
function readArguments() {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        'plc-port': { type: 'string', default: '2582' },
        lenient: { type: 'boolean', default: false },
        reencodes: { type: 'boolean', default: false },
        'crawl-path': { type: 'string', default: '/xrpc/com.atproto.sync.requestCrawl' },
        'admin-password': { type: 'string' },
        seconds: { type: 'string', default: '10' },
      },
    })
    const [relay] = positionals
    if (relay === undefined || positionals.length > 1 || !URL.canParse(relay)) return undefined
    const numbers = [values['plc-port'], values.seconds]
    return numbers.every((text) => /^[0-9]{1,5}$/.test(text)) ? { relay, values } : undefined
  } catch {
    return undefined
  }
}

const asked = readArguments()
if (asked === undefined) {
  process.stderr.write(`${USAGE}\n`)
  process.exitCode = 2
} else {
  const { relay, values } = asked
  const password = values['admin-password']
  const isGood = await check(relay, {
    plcPort: Number(values['plc-port']),
    isStrict: !values.lenient,
    mayReencode: values.reencodes,
    patienceMs: Number(values.seconds) * 1_000,
    crawl: async (hostname) => {
      const response = await fetch(new URL(values['crawl-path'], relay), {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          ...(password === undefined
            ? {}
            : { authorization: `Basic ${btoa(`admin:${password}`)}` }),
        },
        body: JSON.stringify({ hostname }),
      })
      if (!response.ok) throw new Error(`crawl refused; answer=${await response.text()}`)
    },
  })
  if (!isGood) process.exitCode = 1
}
