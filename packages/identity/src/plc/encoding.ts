import { encodeOptions } from '@ipld/dag-cbor'
import { encode } from 'cborg'
import { base32 } from 'multiformats/bases/base32'
import { base64url } from 'multiformats/bases/base64'
import { concat } from 'uint8arrays/concat'
import { sha256 } from '../keys/backends.ts'
import { InvalidPlcOperationError } from '../errors.ts'
import type { AnyPlcOperation, LegacyPlcCreate, PlcOperation } from './operation.ts'

/** Characters of the hash in a did:plc. */
const DID_HASH_CHARS = 24
/** Version 1, dag-cbor, sha2-256, 32 bytes. */
const CID_PREFIX = Uint8Array.of(0x01, 0x71, 0x12, 0x20)
/**
 * 64 bytes in base64url without padding: 86 characters, of which the last carries four zero bits. Anything else would
 * be a second spelling of the same signature, and so a second CID for the same operation.
 */
const SIGNATURE_TEXT = /^[A-Za-z0-9_-]{85}[AQgw]$/

/**
 * DAG-CBOR without CID links: operations name CIDs as text, and a map of theirs with the keys `/` and `bytes` must not
 * be taken for a link.
 */
const OPTIONS = {
  ...encodeOptions,
  typeEncoders: { ...encodeOptions.typeEncoders, Object: () => null },
}

/** DAG-CBOR of an operation as given, with its signature if it has one. */
export function encodePlcOperation(operation: object): Uint8Array {
  return encode(operation, OPTIONS)
}

/** The bytes that are signed: the operation without `sig`. */
export function plcSigningBytes(operation: object): Uint8Array {
  const unsigned: Record<string, unknown> = { ...operation }
  delete unsigned['sig']
  return encodePlcOperation(unsigned)
}

/** CID text of a signed operation, in the form it was signed in. */
export function plcOperationCid(operation: AnyPlcOperation): string {
  return base32.encode(concat([CID_PREFIX, sha256(encodePlcOperation(operation))]))
}

/** The DID a genesis operation creates: the start of the hash of its signed form. */
export function plcGenesisDid(genesis: PlcOperation | LegacyPlcCreate): string {
  return `did:plc:${base32.baseEncode(sha256(encodePlcOperation(genesis))).slice(0, DID_HASH_CHARS)}`
}

/** base64url of a signature, as `sig` holds it. */
export function formatPlcSignature(signature: Uint8Array): string {
  return base64url.baseEncode(signature)
}

/**
 * The 64 bytes of `sig`.
 * @throws {InvalidPlcOperationError} when the text is not the one base64url spelling of 64 bytes
 */
export function parsePlcSignature(text: string): Uint8Array {
  if (!SIGNATURE_TEXT.test(text)) {
    throw new InvalidPlcOperationError('sig is not 64 bytes in canonical base64url')
  }
  return base64url.baseDecode(text)
}
