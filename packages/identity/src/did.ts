import { ensureValidDid } from '@atproto/syntax'
import { InvalidSyntaxError, UnsupportedDidMethodError } from './errors.ts'

/** A DID of a method the protocol uses, in parts. */
export type Did =
  | { readonly method: 'plc'; readonly did: string }
  | {
      readonly method: 'web'
      readonly did: string
      /** Host name, with `:port` in development only. */
      readonly host: string
    }

/** Options of {@link parseDid}. */
export interface ParseDidOptions {
  /**
   * Development: allow `did:web:localhost` and a port (`%3A8080`).
   * @defaultValue false
   */
  readonly dev?: boolean
}

const PLC_DID = /^did:plc:[a-z2-7]{24}$/
const HOST_LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/i
const MAX_HOST_CHARS = 253
const LOCAL_HOST = /^(localhost|127\.0\.0\.1)(?:%3A([1-9][0-9]{0,4}))?$/i

/**
 * Top-level domains that are never resolved, for handles and did:web alike.
 * @see {@link https://atproto.com/specs/handle#additional-non-syntax-restrictions}
 */
export const DISALLOWED_TLDS: readonly string[] = [
  'alt',
  'arpa',
  'example',
  'internal',
  'invalid',
  'local',
  'localhost',
  'onion',
]

/** True for `did:plc:` and 24 characters of lower-case base32. */
export function isPlcDid(text: string): boolean {
  return typeof text === 'string' && PLC_DID.test(text)
}

/**
 * Splits a DID the protocol can use.
 * @throws {InvalidSyntaxError} when the text is not a DID, or breaks the rules of its method
 * @throws {UnsupportedDidMethodError} when it is a DID of another method
 * @see {@link https://atproto.com/specs/did#blessed-did-methods}
 */
export function parseDid(text: string, options: ParseDidOptions = {}): Did {
  if (isPlcDid(text)) return { method: 'plc', did: text }
  try {
    ensureValidDid(text)
  } catch (cause) {
    throw new InvalidSyntaxError('did', text, 'not a DID', { cause })
  }
  if (text.startsWith('did:plc:')) {
    throw new InvalidSyntaxError('did', text, 'did:plc needs 24 characters of a-z and 2-7')
  }
  if (!text.startsWith('did:web:')) throw new UnsupportedDidMethodError(text)
  return { method: 'web', did: text, host: parseWebHost(text, options.dev === true) }
}

/** True when the host's last label may be resolved. `.test` is for development only. */
export function isAllowedTld(host: string, dev: boolean): boolean {
  const tld = host.slice(host.lastIndexOf('.') + 1).toLowerCase()
  return !DISALLOWED_TLDS.includes(tld) && (tld !== 'test' || dev)
}

function isPort(text: string): boolean {
  return /^[1-9][0-9]{0,4}$/.test(text) && Number(text) <= 65_535
}

function parseWebHost(did: string, dev: boolean): string {
  const id = did.slice('did:web:'.length)
  if (id.includes(':')) throw new InvalidSyntaxError('did', did, 'did:web with a path')
  const local = LOCAL_HOST.exec(id)
  if (local !== null) {
    if (!dev) throw new InvalidSyntaxError('did', did, 'did:web of localhost outside development')
    const [, host = '', port] = local
    if (port === undefined) return host
    if (!isPort(port)) throw new InvalidSyntaxError('did', did, 'did:web with a port out of range')
    return `${host}:${port}`
  }
  const [host = '', port, ...rest] = id.split(/%3A/i)
  const labels = host.split('.')
  const isHost =
    host.length <= MAX_HOST_CHARS &&
    labels.length > 1 &&
    labels.every((label) => HOST_LABEL.test(label)) &&
    /^[a-z]/i.test(labels.at(-1) ?? '')
  if (!isHost || rest.length > 0)
    throw new InvalidSyntaxError('did', did, 'did:web without a host name')
  if (!isAllowedTld(host, dev)) {
    throw new InvalidSyntaxError('did', did, 'did:web in a reserved top-level domain')
  }
  if (port === undefined) return host
  if (!dev || !isPort(port)) {
    throw new InvalidSyntaxError('did', did, 'did:web with a port')
  }
  return `${host}:${port}`
}
