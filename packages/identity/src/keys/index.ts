/**
 * Keys of the AT Protocol: parse, generate, sign and verify on k256 and p256.
 *
 * @packageDocumentation
 */
export type { VerifyBackend, VerifySignature } from './backend.ts'
export { verifyBackends } from './backends.ts'
export type { Curve, JwtAlg, PrivateKey, PublicKey, SigningKey, VerifyOptions } from './key.ts'
export { parsePublicKey, publicKeyFromBytes } from './public-key.ts'
export type { PublicKeyOptions } from './public-key.ts'
export { generatePrivateKey, importPrivateKey } from './private-key.ts'
export { toLowS } from './signature.ts'
export { InvalidKeyError } from '../errors.ts'
