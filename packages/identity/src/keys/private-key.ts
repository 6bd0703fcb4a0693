import { InvalidKeyError } from '../errors.ts'
import { nativeSecp256k1, sha256 } from './backends.ts'
import { NOBLE_CURVES } from './backend-noble.ts'
import type { Curve, JwtAlg, PrivateKey, PublicKey } from './key.ts'
import { publicKeyFromBytes } from './public-key.ts'

const SECRET_BYTES = 32
const SECRET_HEX = /^[0-9a-f]{64}$/i
const SIGN_OPTIONS = { prehash: false, lowS: true, format: 'compact' } as const

/** A new private key from the system's randomness. */
export function generatePrivateKey(curve: Curve): PrivateKey {
  return new MemoryPrivateKey(curve, NOBLE_CURVES[curve].utils.randomSecretKey())
}

/**
 * A private key from 32 bytes, or their 64 hexadecimal digits.
 * @throws {InvalidKeyError} when the secret is not 32 bytes in the range of the curve
 */
export function importPrivateKey(curve: Curve, secret: Uint8Array | string): PrivateKey {
  const bytes = typeof secret === 'string' ? fromHex(secret) : secret.slice()
  if (bytes.length !== SECRET_BYTES) throw new InvalidKeyError('secret is not 32 bytes')
  if (!NOBLE_CURVES[curve].utils.isValidSecretKey(bytes)) {
    throw new InvalidKeyError('secret is out of range')
  }
  return new MemoryPrivateKey(curve, bytes)
}

class MemoryPrivateKey implements PrivateKey {
  readonly curve: Curve
  readonly publicKey: PublicKey
  readonly #secret: Uint8Array

  constructor(curve: Curve, secret: Uint8Array) {
    this.curve = curve
    this.#secret = secret
    this.publicKey = publicKeyFromBytes(curve, NOBLE_CURVES[curve].getPublicKey(secret, true))
  }

  get didKey(): string {
    return this.publicKey.didKey
  }

  get jwtAlg(): JwtAlg {
    return this.publicKey.jwtAlg
  }

  sign(bytes: Uint8Array): Uint8Array {
    const digest = sha256(bytes)
    if (this.curve === 'k256' && nativeSecp256k1 !== undefined) {
      return nativeSecp256k1.ecdsaSign(digest, this.#secret).signature
    }
    return NOBLE_CURVES[this.curve].sign(digest, this.#secret, SIGN_OPTIONS)
  }

  export(): Uint8Array {
    return this.#secret.slice()
  }

  toJSON(): { readonly didKey: string } {
    return { didKey: this.didKey }
  }
}

function fromHex(hex: string): Uint8Array {
  if (!SECRET_HEX.test(hex)) throw new InvalidKeyError('secret is not 64 hexadecimal digits')
  const bytes = new Uint8Array(SECRET_BYTES)
  for (let i = 0; i < SECRET_BYTES; i++) {
    bytes[i] = Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16)
  }
  return bytes
}
