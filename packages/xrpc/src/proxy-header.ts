import { InvalidRequestError } from './errors.ts'

/** Target of an `atproto-proxy` header. */
export interface ProxyTarget {
  readonly did: string
  /** Fragment without its number sign: `bsky_appview`. */
  readonly serviceId: string
}

const TARGET = /^(did:[a-z]+:[a-zA-Z0-9._:%-]*[a-zA-Z0-9._-])#([\x21\x22\x24-\x7e]+)$/
/** A DID of the longest length allowed, and its fragment. */
const MAX_LENGTH = 2_304

/**
 * Parses an `atproto-proxy` header.
 *
 * @throws {InvalidRequestError} when it is not one DID, one number sign and one service id, without spaces
 * @see {@link https://atproto.com/specs/xrpc#service-proxying}
 */
export function parseProxyHeader(value: string): ProxyTarget {
  const match = value.length <= MAX_LENGTH ? TARGET.exec(value) : null
  const [, did, serviceId] = match ?? []
  if (did === undefined || serviceId === undefined) {
    throw new InvalidRequestError('atproto-proxy header must be did#service')
  }
  return { did, serviceId }
}

/** Writes an `atproto-proxy` header. */
export function formatProxyHeader(target: ProxyTarget): string {
  return `${target.did}#${target.serviceId}`
}
