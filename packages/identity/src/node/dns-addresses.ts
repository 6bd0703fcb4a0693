import { lookup } from 'node:dns'
import type { LookupAddress } from 'node:dns'
import { Resolver } from 'node:dns/promises'

/** All addresses of a name. */
export type ResolveAddresses = (hostname: string) => Promise<readonly LookupAddress[]>

/** The second try waits twice as long: three seconds in all, which is less than a lookup has. */
const DNS_TIMEOUT_MS = 1000
const DNS_TRIES = 2

/** A DNS client with the bounds that lookups of strangers' names need; by the system's servers, or the ones named. */
export function createDnsResolver(servers?: readonly string[]): Resolver {
  const resolver = new Resolver({ timeout: DNS_TIMEOUT_MS, tries: DNS_TRIES })
  if (servers !== undefined) resolver.setServers(servers)
  return resolver
}

/**
 * Addresses by DNS, IPv4 first. For names that strangers chose: `dns.lookup` would hold one of two threads that the
 * whole process looks names up with for as long as a nameserver does not answer, and it reads the hosts file.
 */
export function createDnsAddresses(servers?: readonly string[]): ResolveAddresses {
  const resolver = createDnsResolver(servers)
  return async (hostname) => {
    const [ipv4, ipv6] = await Promise.allSettled([
      resolver.resolve4(hostname),
      resolver.resolve6(hostname),
    ])
    const addresses = [
      ...(ipv4.status === 'fulfilled' ? ipv4.value : []).map((address) => ({ address, family: 4 })),
      ...(ipv6.status === 'fulfilled' ? ipv6.value : []).map((address) => ({ address, family: 6 })),
    ]
    if (addresses.length === 0 && ipv4.status === 'rejected') throw ipv4.reason
    return addresses
  }
}

/** What the system's resolver says, hosts file and all. */
export function systemAddresses(hostname: string): Promise<readonly LookupAddress[]> {
  return new Promise((resolve, reject) => {
    lookup(hostname, { all: true }, (error, addresses) => {
      if (error === null) resolve(addresses)
      else reject(error)
    })
  })
}

/** Where addresses come from unless told otherwise: in development the hosts file counts. */
export function defaultAddresses(dev: boolean): ResolveAddresses {
  return dev ? systemAddresses : createDnsAddresses()
}
