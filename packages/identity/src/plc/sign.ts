import { isValidHandle } from '@atproto/syntax'
import { readOrigin } from '../did-document-access.ts'
import { InvalidPlcOperationError } from '../errors.ts'
import type { SigningKey } from '../keys/key.ts'
import { classifySignature } from '../keys/signature.ts'
import { formatPlcSignature, plcGenesisDid, plcOperationCid, plcSigningBytes } from './encoding.ts'
import { PLC_PRODUCER_LIMITS, checkDidKey, checkPlcLimits } from './limits.ts'
import { handleAlias, plcOperationData } from './operation.ts'
import type {
  AnyPlcOperation,
  PlcData,
  PlcOperation,
  PlcTombstone,
  UnsignedPlcOperation,
  UnsignedPlcTombstone,
} from './operation.ts'

/** A new identity: its DID and the signed genesis to submit. */
export interface PlcGenesis {
  readonly did: string
  readonly operation: PlcOperation
}

/** What {@link createPlcIdentity} puts into the genesis. */
export interface CreatePlcIdentityOptions {
  /** `did:key` of the account's `#atproto` key. */
  readonly signingKey: string
  /** Without `at://`. */
  readonly handle: string
  /** Origin of the PDS. */
  readonly pds: string
  /** `did:key`s, most powerful first; the signer must be among them. */
  readonly rotationKeys: readonly string[]
  /** Signs the genesis. Any rotation key will do: the server need not hold the others. */
  readonly signer: SigningKey
}

/**
 * Makes an account's DID and its genesis operation. Nothing is sent: submit it with a {@link PlcClient}.
 * @throws {InvalidPlcOperationError} when handle, PDS or key are not what they should be, the result breaks a limit for new operations, or the signer is no rotation key
 */
export async function createPlcIdentity(options: CreatePlcIdentityOptions): Promise<PlcGenesis> {
  const { signingKey, handle, pds, rotationKeys, signer } = options
  checkParts({ signingKey, handle, pds })
  const unsigned = createPlcOperation(
    {
      rotationKeys,
      verificationMethods: { atproto: signingKey },
      alsoKnownAs: [handleAlias(handle)],
      services: { atproto_pds: { type: 'AtprotoPersonalDataServer', endpoint: pds } },
    },
    null,
  )
  requireRotationKey(rotationKeys, signer)
  const operation = await signPlcOperation(unsigned, signer)
  return { did: plcGenesisDid(operation), operation }
}

/**
 * An unsigned operation over any data: a genesis when `prev` is null, else the one after the operation with that CID.
 * @throws {InvalidPlcOperationError} when it breaks a limit for new operations
 */
export function createPlcOperation(data: PlcData, prev: string | null): UnsignedPlcOperation {
  const { rotationKeys, verificationMethods, alsoKnownAs, services } = data
  const operation = {
    type: 'plc_operation',
    rotationKeys,
    verificationMethods,
    alsoKnownAs,
    services,
    prev,
  } as const
  checkPlcLimits(operation, PLC_PRODUCER_LIMITS)
  return operation
}

/**
 * Signs an operation or tombstone.
 * @throws {InvalidPlcOperationError} when the signer answers something other than a low-S compact signature
 */
export async function signPlcOperation<T extends UnsignedPlcOperation | UnsignedPlcTombstone>(
  operation: T,
  signer: SigningKey,
): Promise<T & { readonly sig: string }> {
  const signature = await signer.sign(plcSigningBytes(operation))
  if (classifySignature(signer.curve, signature) !== 'low') {
    throw new InvalidPlcOperationError('signer did not answer a 64-byte low-S signature')
  }
  return { ...operation, sig: formatPlcSignature(signature) }
}

/** Changes to an identity: whole fields of the data, or one of the account's usual parts. */
export interface PlcChange extends Partial<PlcData> {
  /** New `#atproto` key; other verification methods stay. */
  readonly signingKey?: string
  /** New handle; replaces the first `at://` alias and leaves the others. */
  readonly handle?: string
  /** New PDS origin; other services stay. */
  readonly pds?: string
}

/**
 * The operation after `last` with some things changed, signed. To recover from an operation by a stolen key, give the
 * operation before it as `last` and sign with a more powerful rotation key within 72 hours.
 * @throws {InvalidPlcOperationError} when `last` is a tombstone, handle, PDS or key are not what they should be, the result breaks a limit for new operations, or the signer is no rotation key of `last`
 */
export async function updatePlcOperation(
  last: AnyPlcOperation,
  change: PlcChange,
  signer: SigningKey,
): Promise<PlcOperation> {
  const data = plcOperationData(last)
  if (data === undefined) throw new InvalidPlcOperationError('nothing can follow a tombstone')
  requireRotationKey(data.rotationKeys, signer)
  checkParts(change)
  const unsigned = createPlcOperation(applyChange(data, change), plcOperationCid(last))
  return signPlcOperation(unsigned, signer)
}

/**
 * A signed tombstone after `last`: deactivates the DID. A more powerful rotation key can undo it within 72 hours.
 * @throws {InvalidPlcOperationError} when `last` is a tombstone, or the signer is no rotation key of `last`
 */
export async function createPlcTombstone(
  last: AnyPlcOperation,
  signer: SigningKey,
): Promise<PlcTombstone> {
  const data = plcOperationData(last)
  if (data === undefined) throw new InvalidPlcOperationError('nothing can follow a tombstone')
  requireRotationKey(data.rotationKeys, signer)
  return signPlcOperation({ type: 'plc_tombstone', prev: plcOperationCid(last) }, signer)
}

/** A directory takes any text for these; a DID made of such text would lead nowhere. */
function checkParts(parts: Pick<PlcChange, 'signingKey' | 'handle' | 'pds'>): void {
  const { signingKey, handle, pds } = parts
  if (signingKey !== undefined) checkDidKey(signingKey, 'signing key')
  if (handle !== undefined && !isValidHandle(handle))
    throw new InvalidPlcOperationError('handle is not a handle')
  if (pds !== undefined && readOrigin(pds, true) === undefined)
    throw new InvalidPlcOperationError('pds is not an http(s) origin')
}

function applyChange(data: PlcData, change: PlcChange): PlcData {
  const { rotationKeys, verificationMethods, alsoKnownAs, services } = { ...data, ...change }
  return {
    rotationKeys,
    verificationMethods:
      change.signingKey === undefined
        ? verificationMethods
        : { ...verificationMethods, atproto: change.signingKey },
    alsoKnownAs: change.handle === undefined ? alsoKnownAs : withHandle(alsoKnownAs, change.handle),
    services:
      change.pds === undefined
        ? services
        : {
            ...services,
            atproto_pds: { type: 'AtprotoPersonalDataServer', endpoint: change.pds },
          },
  }
}

function withHandle(alsoKnownAs: readonly string[], handle: string): readonly string[] {
  const alias = handleAlias(handle)
  const index = alsoKnownAs.findIndex((each) => each.startsWith('at://'))
  return index < 0 ? [alias, ...alsoKnownAs] : alsoKnownAs.with(index, alias)
}

function requireRotationKey(rotationKeys: readonly string[], signer: SigningKey): void {
  if (!rotationKeys.includes(signer.didKey)) {
    throw new InvalidPlcOperationError('signer is not among the rotation keys')
  }
}
