import { DisconnectedError } from '../errors.ts'
import type { EventLog } from '../event-log/port.ts'
import { serveEvents } from '../serve.ts'
import type { OpenStream } from '../socket.ts'
import { abortError } from '../timer.ts'

/** Streams without sockets: every service is an event log in this process. */
export interface Loopback {
  /** Opens streams of the services. */
  readonly open: OpenStream
  /** URLs opened so far. */
  readonly opened: readonly string[]
  /** Cuts all connections of a service, as a restart would. */
  cut(service: string): void
  /** Refuses connections to a service until told otherwise. */
  setReachable(service: string, reachable: boolean): void
}

/** Serves logs by the origin of their service URL, such as `wss://relay.test`. */
export function createLoopback(services: Readonly<Record<string, EventLog>>): Loopback {
  const opened: string[] = []
  const connections = new Map<string, Set<AbortController>>()
  const unreachable = new Set<string>()
  const originOf = (service: string): string => new URL(service).host
  const logs = new Map(Object.entries(services).map(([url, log]) => [originOf(url), log]))
  return {
    opened,
    cut: (service) => {
      for (const connection of connections.get(originOf(service)) ?? []) connection.abort()
    },
    setReachable: (service, reachable) => {
      if (reachable) unreachable.delete(originOf(service))
      else unreachable.add(originOf(service))
    },
    open: async function* (url, { signal, onOpen }) {
      opened.push(url)
      const { host, searchParams } = new URL(url)
      const log = logs.get(host)
      if (log === undefined || unreachable.has(host)) {
        throw new DisconnectedError(`no route; host=${host}`)
      }
      const connection = new AbortController()
      const open = connections.get(host) ?? new Set()
      connections.set(host, open.add(connection))
      const cursor = searchParams.get('cursor')
      try {
        const frames = serveEvents(log, {
          cursor: cursor === null ? undefined : Number(cursor),
          signal: AbortSignal.any([signal, connection.signal]),
        })
        onOpen?.()
        yield* frames
        if (signal.aborted) throw abortError(signal)
        throw new DisconnectedError('connection cut', { closeCode: 1006 })
      } finally {
        open.delete(connection)
      }
    },
  }
}
