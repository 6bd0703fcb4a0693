import type { SigningKey } from '../keys/key.ts'
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
  readonly signer: SigningKey
}

/** Makes an account's DID and genesis operation. */
export declare function createPlcIdentity(options: CreatePlcIdentityOptions): Promise<PlcGenesis>

/** A genesis (`prev` null) or following operation over any data, unsigned. */
export declare function createPlcOperation(data: PlcData, prev: string | null): UnsignedPlcOperation

/** Signs an operation or tombstone. */
export declare function signPlcOperation<T extends UnsignedPlcOperation | UnsignedPlcTombstone>(
  operation: T,
  signer: SigningKey,
): Promise<T & { readonly sig: string }>

/** The operation after `last` with some fields replaced, signed. */
export declare function updatePlcOperation(
  last: AnyPlcOperation,
  change: Partial<PlcData>,
  signer: SigningKey,
): Promise<PlcOperation>

/** A tombstone after `last`, signed. */
export declare function createPlcTombstone(
  last: AnyPlcOperation,
  signer: SigningKey,
): Promise<PlcTombstone>
