import { fromString } from 'uint8arrays/from-string'
import { toString } from 'uint8arrays/to-string'

/** The decoder takes equals signs anywhere and in any number; the format one or two at the end. */
const PADDED = /^[^=]*={1,2}$/

/** Standard base64 without padding, as `$bytes` wants it. */
export function encodeBase64(bytes: Uint8Array): string {
  return toString(bytes, 'base64')
}

/** Standard base64 with or without padding; `undefined` when the text is not that. */
export function decodeBase64(text: string): Uint8Array | undefined {
  if (!text.includes('=')) return decode(text, 'base64')
  return PADDED.test(text) && text.length % 4 === 0 ? decode(text, 'base64pad') : undefined
}

/** URL-safe base64 without padding, as JWTs want it. */
export function encodeBase64Url(bytes: Uint8Array): string {
  return toString(bytes, 'base64url')
}

/** URL-safe base64 without padding; `undefined` when the text is not that, or another spelling of the same bytes. */
export function decodeBase64Url(text: string): Uint8Array | undefined {
  return text.includes('=') ? undefined : decode(text, 'base64url')
}

function decode(
  text: string,
  encoding: 'base64' | 'base64pad' | 'base64url',
): Uint8Array | undefined {
  try {
    return fromString(text, encoding)
  } catch {
    return undefined
  }
}
