import { fork, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { Firehose } from '@atproto/sync'
import type { HostsAnswer, HostsRequest } from '../relay-hosts.ts'
import type { Row } from '../row.ts'

const HOSTS = 100
const ACCOUNTS = 3
const COMMITS = 120
const SUBSCRIBERS = 10
/** Commits sent at once, as often as there is a round, and once before that for the compiler. The median counts. */
const BURST = 4_000
const ROUNDS = 5
/** Then a steady stream, for one number of subscribers after the other. */
const STEADY_PER_SECOND = 500
const STEADY_SECONDS = 6
const STEADY_SUBSCRIBERS = [50, 100, 200]
/** A step with later events than this, or with bytes missing, is beyond what the relay carries. */
const MAX_P99_MS = 1_000
const RIVAL_MS = 8_000

export const row: Row = {
  work: `a relay from hosts to subscribers: ${HOSTS} hosts in, ${SUBSCRIBERS} subscribers out, over sockets, each commit verified completely and on disk (fsync) before it is passed on; the rival reads this relay's stream and checks signatures and op CIDs`,
  unit: '/s',
  rivalName: '@atproto/sync, as a consumer: no relay runs here in JavaScript',
  async measure() {
    await using stack = new AsyncDisposableStack()
    const folder = mkdtempSync(join(tmpdir(), 'skywright-bench-'))
    stack.defer(() => rmSync(folder, { recursive: true, force: true }))
    const hosts = stack.use(await startHosts())
    const relay = stack.use(await startRelay(folder, hosts))
    await hosts.answer((answer) => 'connected' in answer && answer.connected === HOSTS)
    hosts.ask({ subscribe: relay.url })
    await hosts.answer((answer) => 'subscribed' in answer)

    const rates: number[] = []
    let cpuMs = 0
    {
      await using subscribers = await startSubscribers(relay.url, SUBSCRIBERS)
      await subscribers.received(await hosts.send(hosts.warmUp, 1_000))
      await subscribers.received(await hosts.send(BURST, 0))
      cpuMs -= relay.cpuMs()
      for (let round = 0; round < ROUNDS; round++) {
        const started = performance.now()
        await subscribers.received(await hosts.send(BURST, 0))
        rates.push((BURST / (performance.now() - started)) * 1_000)
      }
      cpuMs += relay.cpuMs()
    }
    await hosts.latencies()
    const steady: string[] = []
    for (const count of STEADY_SUBSCRIBERS) {
      await using subscribers = await startSubscribers(relay.url, count)
      const wireBytes = await hosts.send(STEADY_PER_SECOND * STEADY_SECONDS, STEADY_PER_SECOND)
      const complete = await subscribers.received(wireBytes, 5_000)
      const { p50, p99 } = await hosts.latencies()
      const rss = relay.rssMb()
      if (!complete || p99 > MAX_P99_MS) {
        steady.push(`${count} too many (p99 ${p99.toFixed(0)} ms)`)
        break
      }
      steady.push(`${count} (p50 ${p50.toFixed(0)}, p99 ${p99.toFixed(0)} ms, ${rss} MB)`)
    }
    const rival = await rateOfConsumer(relay.url, hosts.plcUrl)
    return {
      ours: rates.toSorted((a, b) => a - b)[rates.length >> 1] ?? 0,
      rival,
      note: `median of ${ROUNDS} bursts of ${BURST} commits; hosts and subscribers share the machine; the relay itself takes ${(cpuMs / (ROUNDS * BURST)).toFixed(2)} ms of CPU for each; at ${STEADY_PER_SECOND} events/s subscribers carried, latency from a host's socket to a subscriber, memory of the relay: ${steady.join(', ')}`,
    }
  },
}

interface Hosts extends AsyncDisposable {
  readonly plcUrl: string
  readonly hostnames: readonly string[]
  readonly warmUp: number
  ask(request: HostsRequest): void
  answer(wanted: (answer: HostsAnswer) => boolean): Promise<HostsAnswer>
  /** Sends; gives the bytes that makes for each subscriber. */
  send(count: number, perSecond: number): Promise<number>
  latencies(): Promise<{ readonly p50: number; readonly p99: number }>
}

async function startHosts(): Promise<Hosts> {
  const child = fork(
    join(import.meta.dirname, '..', 'relay-hosts.ts'),
    [HOSTS, ACCOUNTS, COMMITS].map(String),
    { execArgv: ['--conditions=@skywright/source'] },
  )
  const ask = (request: HostsRequest): void => {
    child.send(request)
  }
  const answer: Hosts['answer'] = (wanted) =>
    new Promise((resolve, reject) => {
      const heard = (message: HostsAnswer): void => {
        if (!wanted(message)) return
        child.off('message', heard)
        child.off('exit', ended)
        resolve(message)
      }
      const ended = (): void => reject(new Error('the hosts are gone'))
      child.on('message', heard)
      child.once('exit', ended)
    })
  const start = await answer((message) => 'plcUrl' in message)
  if (!('plcUrl' in start)) throw new Error('unexpected answer')
  return {
    ...start,
    ask,
    answer,
    send: async (send, perSecond) => {
      const sent = answer((message) => 'sent' in message)
      ask({ send, perSecond })
      const message = await sent
      return 'wireBytes' in message ? message.wireBytes : 0
    },
    latencies: async () => {
      const latencies = answer((message) => 'latencies' in message)
      ask({ latencies: true })
      const message = await latencies
      const sorted = 'latencies' in message ? message.latencies.toSorted((a, b) => a - b) : []
      const at = (share: number): number => sorted[Math.floor(sorted.length * share)] ?? Infinity
      return { p50: at(0.5), p99: at(0.99) }
    },
    [Symbol.asyncDispose]: () => leave(child),
  }
}

interface RelayProcess extends AsyncDisposable {
  readonly url: string
  rssMb(): number
  /** CPU time it took so far. */
  cpuMs(): number
}

/** The relay as `pnpm start` runs it. */
async function startRelay(folder: string, { plcUrl, hostnames }: Hosts): Promise<RelayProcess> {
  const main = join(import.meta.dirname, '..', '..', 'examples', 'relay', 'src', 'main.ts')
  const child = spawn(process.execPath, ['--conditions=@skywright/source', main], {
    env: {
      ...process.env,
      RELAY_PORT: '0',
      RELAY_DATA_DIRECTORY: folder,
      RELAY_PLC_URL: plcUrl,
      RELAY_HOSTS: hostnames.join(),
      RELAY_DEVELOPMENT: 'true',
      RELAY_LOG_LEVEL: 'error',
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const url = await new Promise<string>((resolve, reject) => {
    child.once('exit', () => reject(new Error('the relay did not start')))
    createInterface({ input: child.stdout }).on('line', (line) => {
      const found = /^relay listening on (\S+)$/.exec(line)?.[1]
      if (found !== undefined) resolve(found)
    })
  })
  return {
    url,
    rssMb: () => {
      const status = readFileSync(`/proc/${String(child.pid)}/status`, 'utf8')
      return Math.round(Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]) / 1_024)
    },
    cpuMs: () => {
      const fields = readFileSync(`/proc/${String(child.pid)}/stat`, 'utf8').split(' ')
      // Ticks in user and in kernel mode, a hundred a second.
      return (Number(fields[13]) + Number(fields[14])) * 10
    },
    [Symbol.asyncDispose]: async () => {
      const exited = once(child, 'exit')
      child.kill('SIGTERM')
      await exited
    },
  }
}

interface Subscribers extends AsyncDisposable {
  /** Waits until every one of them got so many bytes more; `false` when that takes longer than it may. */
  received(bytes: number, withinMs?: number): Promise<boolean>
}

async function startSubscribers(relay: string, count: number): Promise<Subscribers> {
  const child = fork(join(import.meta.dirname, '..', 'fan-out-clients.ts'), [
    new URL(relay).port,
    String(count),
  ])
  let greeted = 0
  let least = 0
  let target = 0
  let changed = (): void => {}
  child.on('message', (message: { readonly greeted?: true; readonly least?: number }) => {
    if (message.greeted === true) greeted++
    least = message.least ?? least
    changed()
  })
  const until = async (reached: () => boolean, withinMs: number): Promise<boolean> => {
    let late = false
    const patience = setTimeout(() => {
      late = true
      changed()
    }, withinMs)
    while (!reached() && !late) await new Promise<void>((resolve) => (changed = resolve))
    clearTimeout(patience)
    return reached()
  }
  if (!(await until(() => greeted === count, 20_000))) throw new Error('subscribers are refused')
  return {
    received: async (bytes, withinMs = 60_000) => {
      target += bytes
      const complete = await until(() => least >= target, withinMs)
      if (!complete && withinMs === 60_000) throw new Error(`received ${least} of ${target} bytes`)
      return complete
    },
    [Symbol.asyncDispose]: () => leave(child),
  }
}

async function leave(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return
  const exited = once(child, 'exit')
  child.disconnect()
  await exited
}

/** Commits a second that the rival reads from the relay's window, checking what it checks, for some seconds. */
async function rateOfConsumer(relay: string, plcUrl: string): Promise<number> {
  const keys = new Map<string, Promise<string>>()
  const resolveKey = async (did: string): Promise<string> => {
    const response = await fetch(`${plcUrl}/${did}`)
    const document = (await response.json()) as {
      readonly verificationMethod: readonly [{ readonly publicKeyMultibase: string }]
    }
    return `did:key:${document.verificationMethod[0].publicKeyMultibase}`
  }
  // The one method of its identity resolver that the rival calls for commits, with a cache.
  const idResolver = {
    did: {
      resolveAtprotoKey: (did: string) => {
        const key = keys.get(did) ?? resolveKey(did)
        keys.set(did, key)
        return key
      },
    },
  } as unknown as ConstructorParameters<typeof Firehose>[0]['idResolver']
  const commits = new Set<string>()
  let startedAt = 0
  let failure: Error | undefined
  const firehose = new Firehose({
    service: relay.replace('http', 'ws'),
    idResolver,
    excludeIdentity: true,
    excludeAccount: true,
    excludeSync: true,
    getCursor: () => 0,
    handleEvent: (event) => {
      if (startedAt === 0) startedAt = performance.now()
      if ('rev' in event) commits.add(`${event.did} ${event.rev}`)
    },
    onError: (error) => {
      failure ??= error
    },
  })
  const running = firehose.start()
  await new Promise((resolve) => setTimeout(resolve, RIVAL_MS))
  const rate = (commits.size / (performance.now() - startedAt)) * 1_000
  await firehose.destroy()
  await running
  if (failure !== undefined) throw failure
  return rate
}
