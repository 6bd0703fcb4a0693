import type { EventLog } from '../event-log/port.ts'
import type { AccountRecord, HostRecord, Page, RelayStore } from './ports.ts'

/** A relay store that forgets at exit, over any event log. For tests, and for a relay that is only a way station. */
export function createMemoryRelayStore(log: Pick<EventLog, 'publish'>): RelayStore {
  const hosts = new Map<string, HostRecord>()
  const accounts = new Map<string, AccountRecord>()
  const counts = new Map<string, number>()
  // Changes happen in the order of the calls, as they would in a database.
  let last: Promise<unknown> = Promise.resolve()

  const count = (account: AccountRecord | undefined, by: number): void => {
    if (account === undefined || account.upstreamStatus === 'deleted') return
    counts.set(account.hostname, (counts.get(account.hostname) ?? 0) + by)
  }
  const counted = (host: HostRecord): HostRecord => ({
    ...host,
    accountCount: counts.get(host.hostname) ?? 0,
  })
  return {
    getHost: (hostname) => {
      const host = hosts.get(hostname)
      return host && counted(host)
    },
    listHosts: (options) =>
      page([...hosts.values()].map(counted), options, (host) => host.hostname),
    getAccount: (did) => accounts.get(did),
    listAccounts: (options) => page([...accounts.values()], options, (account) => account.did),
    commit: (change) => {
      const done = last.then(async () => {
        const seqs = change.events.length === 0 ? [] : await log.publish(change.events)
        for (const host of change.hosts) hosts.set(host.hostname, host)
        for (const hostname of change.resetHosts ?? []) {
          for (const account of accounts.values()) {
            if (account.hostname === hostname) {
              accounts.set(account.did, { ...account, hostSeq: undefined })
            }
          }
        }
        for (const account of change.accounts) {
          count(accounts.get(account.did), -1)
          accounts.set(account.did, account)
          count(account, 1)
        }
        return seqs
      })
      last = done.catch(() => undefined)
      return done
    },
    [Symbol.asyncDispose]: async () => {
      await last
    },
  }
}

function page<T>(
  items: readonly T[],
  { limit, cursor = '' }: { readonly limit: number; readonly cursor?: string },
  key: (item: T) => string,
): Page<T> {
  const found = items
    .filter((item) => key(item) > cursor)
    .toSorted((a, b) => (key(a) < key(b) ? -1 : 1))
    .slice(0, limit)
  const last = found.at(-1)
  return {
    items: found,
    cursor: found.length < limit || last === undefined ? undefined : key(last),
  }
}
