import { hexToBytes } from '@noble/hashes/utils.js'
import { InvalidKeyError } from '../errors.ts'
import { nativeSecp256k1, sha256 } from './backends.ts'
import { NOBLE_CURVES } from './backend-noble.ts'
import { copyBytes } from './copy-bytes.ts'
import type { Curve, JwtAlg, PrivateKey, PublicKey } from './key.ts'
import { jwtAlgOf, publicKeyFromBytes } from './public-key.ts'
import { createDigestSigner } from './sign-ecdsa.ts'
import type { SignDigest } from './sign-ecdsa.ts'

const SECRET_BYTES = 32
const SECRET_HEX = /^[0-9a-f]{64}$/i

/**
 * A new private key from the system's randomness.
 * @throws {InvalidKeyError} when the curve is neither k256 nor p256
 */
export function generatePrivateKey(curve: Curve): PrivateKey {
  checkCurve(curve)
  return new MemoryPrivateKey(curve, NOBLE_CURVES[curve].utils.randomSecretKey())
}

/**
 * A private key from 32 bytes, or their 64 hexadecimal digits.
 * @throws {InvalidKeyError} when the secret is not 32 bytes in the range of the curve, or the curve is another
 */
export function importPrivateKey(curve: Curve, secret: Uint8Array | string): PrivateKey {
  checkCurve(curve)
  if (typeof secret !== 'string' && !ArrayBuffer.isView(secret))
    throw new InvalidKeyError('secret is neither bytes nor text')
  const bytes = typeof secret === 'string' ? fromHex(secret) : copyBytes(secret)
  if (bytes.length !== SECRET_BYTES) throw new InvalidKeyError('secret is not 32 bytes')
  if (!NOBLE_CURVES[curve].utils.isValidSecretKey(bytes)) {
    throw new InvalidKeyError('secret is out of range')
  }
  return new MemoryPrivateKey(curve, bytes)
}

/** Curves come from configuration, too. */
function checkCurve(curve: Curve): void {
  if (!Object.hasOwn(NOBLE_CURVES, curve)) throw new InvalidKeyError('curve is not k256 or p256')
}

class MemoryPrivateKey implements PrivateKey {
  readonly curve: Curve
  readonly #secret: Uint8Array
  #publicKey: PublicKey | undefined
  #signDigest: SignDigest | undefined

  constructor(curve: Curve, secret: Uint8Array) {
    this.curve = curve
    this.#secret = secret
  }

  get publicKey(): PublicKey {
    this.#publicKey ??= publicKeyFromBytes(this.curve, derivePublicKey(this.curve, this.#secret))
    return this.#publicKey
  }

  get didKey(): string {
    return this.publicKey.didKey
  }

  get jwtAlg(): JwtAlg {
    return jwtAlgOf(this.curve)
  }

  sign(bytes: Uint8Array): Uint8Array {
    this.#signDigest ??= createSigner(this.curve, this.#secret)
    return this.#signDigest(sha256(bytes))
  }

  export(): Uint8Array {
    return this.#secret.slice()
  }

  toJSON(): { readonly didKey: string } {
    return { didKey: this.didKey }
  }
}

function createSigner(curve: Curve, secret: Uint8Array): SignDigest {
  const native = nativeSecp256k1
  if (curve !== 'k256' || native === undefined) return createDigestSigner(curve, secret)
  return (digest) => native.ecdsaSign(digest, secret).signature
}

function derivePublicKey(curve: Curve, secret: Uint8Array): Uint8Array {
  return curve === 'k256' && nativeSecp256k1 !== undefined
    ? nativeSecp256k1.publicKeyCreate(secret, true)
    : NOBLE_CURVES[curve].getPublicKey(secret, true)
}

function fromHex(hex: string): Uint8Array {
  if (!SECRET_HEX.test(hex)) throw new InvalidKeyError('secret is not 64 hexadecimal digits')
  // Into memory of its own: decoders built on Buffer put small results side by side.
  return hexToBytes(hex)
}
