const STANDARD = /^[A-Za-z0-9+/]*={0,2}$/
const URL_SAFE = /^[A-Za-z0-9_-]*$/
/** Arguments per `String.fromCharCode` call; far below every engine's limit. */
const CHUNK = 8_192

/** Standard base64 without padding, as `$bytes` wants it. */
export function encodeBase64(bytes: Uint8Array): string {
  let binary = ''
  for (let i = 0; i < bytes.length; i += CHUNK) {
    binary += String.fromCharCode(...bytes.subarray(i, i + CHUNK))
  }
  return btoa(binary).replace(/=+$/, '')
}

/** Standard base64 with or without padding; `undefined` when the text is not that. */
export function decodeBase64(text: string): Uint8Array | undefined {
  if (!STANDARD.test(text)) return undefined
  const bare = text.replace(/=+$/, '')
  if (bare.length % 4 === 1 || (bare.length !== text.length && text.length % 4 !== 0)) {
    return undefined
  }
  return bytesOf(bare)
}

/** URL-safe base64 without padding, as JWTs want it. */
export function encodeBase64Url(bytes: Uint8Array): string {
  return encodeBase64(bytes).replaceAll('+', '-').replaceAll('/', '_')
}

/** URL-safe base64 without padding; `undefined` when the text is not that. */
export function decodeBase64Url(text: string): Uint8Array | undefined {
  if (!URL_SAFE.test(text) || text.length % 4 === 1) return undefined
  return bytesOf(text.replaceAll('-', '+').replaceAll('_', '/'))
}

function bytesOf(base64: string): Uint8Array {
  const binary = atob(base64)
  const bytes = new Uint8Array(binary.length)
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i)
  return bytes
}
