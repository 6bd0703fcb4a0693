/** Target of an `atproto-proxy` header. */
export interface ProxyTarget {
  readonly did: string
  /** Fragment without its number sign: `bsky_appview`. */
  readonly serviceId: string
}

/**
 * Parses an `atproto-proxy` header.
 *
 * @throws {InvalidRequestError} when it is not `did#id`
 */
export declare function parseProxyHeader(value: string): ProxyTarget
