/** Longest DNS name, in characters. */
const MAX_HOSTNAME_LENGTH = 253
const LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/

/** Top-level domains that name nothing on the public internet (RFC 2606, 6761, 6762, 7686, 9476; ICANN for .internal). */
const RESERVED_DOMAINS = [
  'alt',
  'arpa',
  'example',
  'internal',
  'invalid',
  'local',
  'localhost',
  'onion',
  'test',
]

/** A host as the relay knows it. */
export interface HostAddress {
  /** Lower case; with a port in development only. The key everywhere. */
  readonly hostname: string
  /** Base URL its methods and its firehose are reached at. */
  readonly url: string
}

/**
 * Checks what somebody sent as `hostname` to requestCrawl: a public DNS name, without scheme, path, port or address.
 *
 * In development, names and ports of this machine are hosts too and are reached over plain http.
 *
 * @returns the address, or a sentence saying what is wrong
 */
export function parseHostname(
  text: string,
  options: { readonly development: boolean },
): HostAddress | string {
  if (text.length > MAX_HOSTNAME_LENGTH) return 'hostname is too long'
  const lower = text.trim().toLowerCase()
  if (lower.includes('://') || /[/?#@\s]/.test(lower)) {
    return 'hostname must be a bare host name, without scheme, path or spaces'
  }
  const [name = '', port, ...rest] = lower.split(':')
  if (rest.length > 0 || lower.startsWith('[')) return 'hostname must not be an IP address'
  const labels = name.split('.')
  if (!labels.every((label) => LABEL.test(label))) return 'hostname is not a DNS name'
  if (port !== undefined && !(/^[1-9][0-9]{0,4}$/.test(port) && Number(port) <= 65_535)) {
    return 'port is not a port number'
  }
  const top = labels.at(-1) ?? ''
  // URLs read a name that ends so as an IPv4 address, also in hexadecimal.
  const address = /^([0-9]+|0x[0-9a-f]*)$/.test(top)
  const reserved = RESERVED_DOMAINS.includes(top)
  if (options.development && (port !== undefined || reserved || address)) {
    return { hostname: lower, url: `http://${lower}` }
  }
  if (port !== undefined) return 'hostname must not carry a port'
  if (address) return 'hostname must not be an IP address'
  if (reserved) return `.${top} names no public host`
  if (labels.length < 2) return 'hostname must have a domain'
  return { hostname: lower, url: `https://${lower}` }
}

/** Whether `hostname` is one of `domains` or below one of them. */
export function isUnderDomain(hostname: string, domains: readonly string[]): boolean {
  const [name = ''] = hostname.split(':')
  return domains.some((domain) => name === domain || name.endsWith(`.${domain}`))
}
