import type { EventLog } from '../event-log/port.ts'
import type { AccountRecord, HostRecord, Page, RelayChange, RelayStore } from '../relay/ports.ts'

/** A relay's state in memory, beside a log. */
export function createMemoryRelayStore(log: EventLog): RelayStore {
  const hosts = new Map<string, HostRecord>()
  const accounts = new Map<string, AccountRecord>()
  const countOf = (hostname: string): number => {
    let count = 0
    for (const account of accounts.values()) {
      if (account.hostname === hostname && account.upstreamStatus !== 'deleted') count++
    }
    return count
  }
  const withCount = (host: HostRecord): HostRecord => ({
    ...host,
    accountCount: countOf(host.hostname),
  })
  return {
    getHost: (hostname) => {
      const host = hosts.get(hostname)
      return host === undefined ? undefined : withCount(host)
    },
    listHosts: (options) => {
      const { items, cursor } = page(hosts, options)
      return { items: items.map((host) => withCount(host)), cursor }
    },
    getAccount: (did) => accounts.get(did),
    listAccounts: (options) => page(accounts, options),
    commit: async (change: RelayChange) => {
      for (const host of change.hosts) hosts.set(host.hostname, host)
      for (const account of change.accounts) accounts.set(account.did, account)
      for (const hostname of change.resetHosts ?? []) {
        for (const [did, account] of accounts) {
          if (account.hostname === hostname) accounts.set(did, { ...account, hostSeq: undefined })
        }
      }
      return change.events.length === 0 ? [] : await log.publish(change.events)
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
}

function page<T>(
  all: ReadonlyMap<string, T>,
  { limit, cursor = '' }: { readonly limit: number; readonly cursor?: string },
): Page<T> {
  const keys = [...all.keys()].filter((key) => key > cursor).toSorted()
  const items: T[] = []
  for (const key of keys.slice(0, limit)) {
    const item = all.get(key)
    if (item !== undefined) items.push(item)
  }
  return { items, cursor: keys.length > limit ? keys[limit - 1] : undefined }
}
