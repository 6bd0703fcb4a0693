/** IPv4 blocks that are not the public internet: [network, prefix length]. */
const SPECIAL_IPV4: readonly (readonly [number, number])[] = (
  [
    ['0.0.0.0', 8],
    ['10.0.0.0', 8],
    ['100.64.0.0', 10],
    ['127.0.0.0', 8],
    // Azure's platform services, which every machine there can reach.
    ['168.63.129.16', 32],
    ['169.254.0.0', 16],
    ['172.16.0.0', 12],
    ['192.0.0.0', 24],
    ['192.0.2.0', 24],
    ['192.88.99.0', 24],
    ['192.168.0.0', 16],
    ['198.18.0.0', 15],
    ['198.51.100.0', 24],
    ['203.0.113.0', 24],
    ['224.0.0.0', 4],
    ['240.0.0.0', 4],
  ] as const
).map(([network, prefix]) => [parseIpv4(network) ?? 0, prefix])

const GROUPS = 8

/**
 * True when an IP address in text belongs to the public internet. Private, loopback, link-local (cloud metadata),
 * shared, documentation, multicast and reserved ranges do not, nor do IPv6 forms that carry such an IPv4 address.
 * @see {@link https://www.iana.org/assignments/iana-ipv4-special-registry}
 */
export function isPublicAddress(address: string): boolean {
  const ipv4 = parseIpv4(address)
  if (ipv4 !== undefined) return isPublicIpv4(ipv4)
  const groups = parseIpv6(address)
  return groups !== undefined && isPublicIpv6(groups)
}

/** True when the text is an IPv4 or IPv6 address (without brackets). */
export function isIpAddress(text: string): boolean {
  return parseIpv4(text) !== undefined || parseIpv6(text) !== undefined
}

function isPublicIpv4(address: number): boolean {
  return !SPECIAL_IPV4.some(([network, prefix]) => {
    const shift = 32 - prefix
    return Math.floor(address / 2 ** shift) === Math.floor(network / 2 ** shift)
  })
}

function isPublicIpv6(groups: readonly number[]): boolean {
  const [first = 0, second = 0, third = 0] = groups
  const embedded = (groups[6] ?? 0) * 65_536 + (groups[7] ?? 0)
  const zeros = (count: number, from: number): boolean =>
    groups.slice(from, from + count).every((group) => group === 0)
  // IPv4-mapped, and NAT64: what counts is the address inside.
  if (zeros(5, 0) && groups[5] === 0xffff) return isPublicIpv4(embedded)
  if (first === 0x64 && second === 0xff9b && zeros(4, 2)) return isPublicIpv4(embedded)
  // Only 2000::/3 is global unicast.
  if (first >> 13 !== 1) return false
  // 2001::/23 is for protocols (Teredo, ORCHID), 2001:db8::/32 and 3fff::/20 for documentation.
  if (first === 0x2001 && (second < 0x200 || second === 0xdb8)) return false
  if (first === 0x3fff && second < 0x1000) return false
  // 6to4 carries an IPv4 address in its second and third group.
  if (first === 0x2002) return isPublicIpv4(second * 65_536 + third)
  return true
}

function parseIpv4(text: string): number | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text)
  if (match === null) return undefined
  const bytes = match.slice(1).map(Number)
  if (bytes.some((byte) => byte > 255)) return undefined
  return bytes.reduce((address, byte) => address * 256 + byte, 0)
}

function parseIpv6(text: string): readonly number[] | undefined {
  // A zone names an interface of this machine: never public, so not an address here.
  if (!/^[0-9a-f:.]{2,45}$/i.test(text)) return undefined
  const halves = text.split('::')
  if (halves.length > 2) return undefined
  const [head, tail] = halves.map(parseGroups)
  if (head === undefined) return undefined
  if (halves.length === 1) return head.length === GROUPS ? head : undefined
  if (tail === undefined || head.length + tail.length >= GROUPS) return undefined
  return [...head, ...Array<number>(GROUPS - head.length - tail.length).fill(0), ...tail]
}

function parseGroups(text: string): number[] | undefined {
  if (text === '') return []
  const groups: number[] = []
  const parts = text.split(':')
  for (const [index, part] of parts.entries()) {
    const ipv4 = index === parts.length - 1 ? parseIpv4(part) : undefined
    if (ipv4 !== undefined) groups.push(Math.floor(ipv4 / 65_536), ipv4 % 65_536)
    else if (/^[0-9a-f]{1,4}$/i.test(part)) groups.push(Number.parseInt(part, 16))
    else return undefined
  }
  return groups
}
