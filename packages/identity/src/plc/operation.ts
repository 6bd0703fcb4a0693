/** A service entry of a PLC operation. */
export interface PlcService {
  readonly type: string
  readonly endpoint: string
}

/** What a PLC operation says about a DID, without its place in the log. */
export interface PlcData {
  /** `did:key`s that may sign the next operation, most powerful first. */
  readonly rotationKeys: readonly string[]
  /** Fragment → `did:key`, such as `atproto`. */
  readonly verificationMethods: Readonly<Record<string, string>>
  readonly alsoKnownAs: readonly string[]
  /** Fragment → service, such as `atproto_pds`. */
  readonly services: Readonly<Record<string, PlcService>>
}

/** A `plc_operation` before its signature. */
export interface UnsignedPlcOperation extends PlcData {
  readonly type: 'plc_operation'
  /** CID text of the operation before this one; `null` in a genesis. */
  readonly prev: string | null
}

/** A signed `plc_operation`. */
export interface PlcOperation extends UnsignedPlcOperation {
  readonly sig: string
}

/** A tombstone before its signature. */
export interface UnsignedPlcTombstone {
  readonly type: 'plc_tombstone'
  readonly prev: string
}

/** A signed tombstone: the DID is deactivated. */
export interface PlcTombstone extends UnsignedPlcTombstone {
  readonly sig: string
}

/** The genesis form of 2022 and early 2023. Read, never written. */
export interface LegacyPlcCreate {
  readonly type: 'create'
  readonly signingKey: string
  readonly recoveryKey: string
  readonly handle: string
  readonly service: string
  readonly prev: null
  readonly sig: string
}

/** Any operation a log can hold. */
export type AnyPlcOperation = PlcOperation | PlcTombstone | LegacyPlcCreate

/** What `/:did/data` answers. */
export interface PlcDocumentData extends PlcData {
  readonly did: string
}

/** One entry of `/:did/log/audit`. */
export interface PlcLogEntry {
  readonly did: string
  readonly operation: AnyPlcOperation
  readonly cid: string
  readonly nullified: boolean
  /** ISO 8601 time at which the directory accepted the operation. */
  readonly createdAt: string
}
