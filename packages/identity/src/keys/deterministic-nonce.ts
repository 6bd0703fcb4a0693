import { hmac } from '@noble/hashes/hmac.js'
import { sha256 } from '@noble/hashes/sha2.js'

const NUMBER_BYTES = 32

/**
 * Nonces for one signature, in the order RFC 6979 tries them: HMAC-DRBG over SHA-256, seeded with the secret and the
 * digest. For curves whose order has 256 bits. Nearly always the first one serves.
 * @param secret 32 bytes, big-endian
 * @param digest 32 bytes, already reduced modulo the order
 * @see {@link https://www.rfc-editor.org/rfc/rfc6979#section-3.2}
 */
export function* deterministicNonces(
  secret: Uint8Array,
  digest: Uint8Array,
): Generator<Uint8Array, never, void> {
  const seed = new Uint8Array(2 * NUMBER_BYTES)
  seed.set(secret)
  seed.set(digest, NUMBER_BYTES)
  let value: Uint8Array = new Uint8Array(NUMBER_BYTES).fill(1)
  let key: Uint8Array = new Uint8Array(NUMBER_BYTES)
  const stir = (separator: number, data: Uint8Array): void => {
    const input = new Uint8Array(NUMBER_BYTES + 1 + data.length)
    input.set(value)
    input[NUMBER_BYTES] = separator
    input.set(data, NUMBER_BYTES + 1)
    key = hmac(sha256, key, input)
    value = hmac(sha256, key, value)
  }
  stir(0, seed)
  stir(1, seed)
  for (;;) {
    value = hmac(sha256, key, value)
    yield value
    stir(0, new Uint8Array())
  }
}
