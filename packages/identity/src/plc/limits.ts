import { parsePublicKey } from '../keys/public-key.ts'
import { isDidKeySyntax } from '../keys/multikey.ts'
import { InvalidKeyError, InvalidPlcOperationError } from '../errors.ts'
import { encodePlcOperation } from './encoding.ts'
import { MAX_PLC_OPERATION_BYTES } from './operation.ts'
import type { PlcData, UnsignedPlcOperation, UnsignedPlcTombstone } from './operation.ts'

/** Bounds on an operation. */
export interface PlcLimits {
  /** Bytes of the signed operation in DAG-CBOR. */
  readonly maxOperationBytes: number
  readonly minRotationKeys: number
  readonly maxRotationKeys: number
  /** Whether the same rotation key may stand twice in the list. */
  readonly allowDuplicateRotationKeys: boolean
}

/** Bytes a `sig` field adds: its 4-byte key, a 2-byte head, 86 characters. */
const SIGNATURE_FIELD_BYTES = 92

/** What the specification asks of new operations, at the size every directory takes. Applied when producing. */
export const PLC_PRODUCER_LIMITS: PlcLimits = {
  maxOperationBytes: 4000,
  minRotationKeys: 1,
  maxRotationKeys: 5,
  allowDuplicateRotationKeys: false,
}

/** What the reference directory accepts. */
export const PLC_DIRECTORY_LIMITS: PlcLimits = {
  maxOperationBytes: 4000,
  minRotationKeys: 0,
  maxRotationKeys: 10,
  allowDuplicateRotationKeys: true,
}

/** Reference directory's bounds on the rest; characters, not bytes. */
const MAX_ALIASES = 10
const MAX_ALIAS_CHARS = 258
const MAX_SERVICES = 10
const MAX_SERVICE_TYPE_CHARS = 256
const MAX_SERVICE_ENDPOINT_CHARS = 512
const MAX_VERIFICATION_METHODS = 10
const MAX_ID_CHARS = 32

/**
 * Checks the size and contents of an operation, signed or not, against limits.
 * @throws {InvalidPlcOperationError} naming the limit
 */
export function checkPlcLimits(
  operation: UnsignedPlcOperation | UnsignedPlcTombstone,
  limits: PlcLimits,
): void {
  const signatureBytes = 'sig' in operation ? 0 : SIGNATURE_FIELD_BYTES
  const size = encodePlcOperation(operation).length + signatureBytes
  if (size > Math.min(limits.maxOperationBytes, MAX_PLC_OPERATION_BYTES)) {
    throw new InvalidPlcOperationError(`operation is larger than ${limits.maxOperationBytes} bytes`)
  }
  if (operation.type === 'plc_operation') checkData(operation, limits)
}

function checkData(data: PlcData, limits: PlcLimits): void {
  atMost(data.alsoKnownAs.length, MAX_ALIASES, 'alsoKnownAs entries')
  for (const alias of data.alsoKnownAs)
    atMost(alias.length, MAX_ALIAS_CHARS, 'characters in an alias')
  unique(data.alsoKnownAs, 'alsoKnownAs')

  atMost(data.rotationKeys.length, limits.maxRotationKeys, 'rotationKeys')
  if (data.rotationKeys.length < limits.minRotationKeys) {
    throw new InvalidPlcOperationError('rotationKeys is empty')
  }
  if (!limits.allowDuplicateRotationKeys) unique(data.rotationKeys, 'rotationKeys')
  for (const key of data.rotationKeys) checkDidKey(key, 'rotation key')

  const services = Object.entries(data.services)
  atMost(services.length, MAX_SERVICES, 'services')
  for (const [id, { type, endpoint }] of services) {
    atMost(id.length, MAX_ID_CHARS, 'characters in a service id')
    atMost(type.length, MAX_SERVICE_TYPE_CHARS, 'characters in a service type')
    atMost(endpoint.length, MAX_SERVICE_ENDPOINT_CHARS, 'characters in a service endpoint')
  }

  const methods = Object.entries(data.verificationMethods)
  atMost(methods.length, MAX_VERIFICATION_METHODS, 'verificationMethods')
  for (const [id, key] of methods) {
    atMost(id.length, MAX_ID_CHARS, 'characters in a verification method id')
    if (!isDidKeySyntax(key))
      throw new InvalidPlcOperationError('verification method is not a did:key')
  }
}

/** @throws {InvalidPlcOperationError} when the text is no key that signatures can be checked with */
export function checkDidKey(key: string, what: string): void {
  try {
    if (!key.startsWith('did:key:')) throw new InvalidKeyError('not a did:key')
    parsePublicKey(key)
  } catch (cause) {
    throw new InvalidPlcOperationError(`${what} is not a k256 or p256 did:key`, { cause })
  }
}

function atMost(count: number, limit: number, what: string): void {
  if (count > limit) throw new InvalidPlcOperationError(`more than ${limit} ${what}`)
}

function unique(values: readonly string[], what: string): void {
  if (new Set(values).size !== values.length)
    throw new InvalidPlcOperationError(`duplicate entry in ${what}`)
}
