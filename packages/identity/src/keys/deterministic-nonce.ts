import { hmac } from '@noble/hashes/hmac.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { concatBytes } from '@noble/hashes/utils.js'

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
  // Secrets stay out of shared memory, so not by uint8arrays, whose results may come from Node's buffer pool.
  const seed = concatBytes(secret, digest)
  let value: Uint8Array = new Uint8Array(NUMBER_BYTES).fill(1)
  let key: Uint8Array = new Uint8Array(NUMBER_BYTES)
  const stir = (separator: number, data: Uint8Array): void => {
    key = hmac(sha256, key, concatBytes(value, Uint8Array.of(separator), data))
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
