import { InvalidPlcOperationError } from '../errors.ts'

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

/** Bytes of DAG-CBOR beyond which no operation is looked at, ever. The specification's bound. */
export const MAX_PLC_OPERATION_BYTES = 7500

const MAX_LIST_ENTRIES = 1000
const LONE_SURROGATE = /\p{Surrogate}/u

/**
 * Reads an operation strictly: exactly the fields of its type, each of the right type, nothing else. Limits for new
 * operations are not applied, because history holds operations from before them.
 * @throws {InvalidPlcOperationError} when the shape is wrong
 * @see {@link https://web.plc.directory/spec/v0.1/did-plc}
 */
export function parsePlcOperation(value: unknown): AnyPlcOperation {
  const fields = record(value, 'operation')
  switch (fields['type']) {
    case 'plc_operation':
      only(fields, [
        'type',
        'rotationKeys',
        'verificationMethods',
        'alsoKnownAs',
        'services',
        'prev',
        'sig',
      ])
      return {
        type: 'plc_operation',
        ...parsePlcData(fields),
        prev: fields['prev'] === null ? null : text(fields['prev'], 'prev'),
        sig: text(fields['sig'], 'sig'),
      }
    case 'plc_tombstone':
      only(fields, ['type', 'prev', 'sig'])
      return {
        type: 'plc_tombstone',
        prev: text(fields['prev'], 'prev'),
        sig: text(fields['sig'], 'sig'),
      }
    case 'create':
      only(fields, ['type', 'signingKey', 'recoveryKey', 'handle', 'service', 'prev', 'sig'])
      if (fields['prev'] !== null)
        throw new InvalidPlcOperationError('prev of a create is not null')
      return {
        type: 'create',
        signingKey: text(fields['signingKey'], 'signingKey'),
        recoveryKey: text(fields['recoveryKey'], 'recoveryKey'),
        handle: text(fields['handle'], 'handle'),
        service: text(fields['service'], 'service'),
        prev: null,
        sig: text(fields['sig'], 'sig'),
      }
    default:
      throw new InvalidPlcOperationError('unknown type')
  }
}

/**
 * The data part of an operation, read strictly.
 * @throws {InvalidPlcOperationError} when a field is missing or of the wrong type
 */
export function parsePlcData(value: unknown): PlcData {
  const fields = record(value, 'data')
  return {
    rotationKeys: texts(fields['rotationKeys'], 'rotationKeys'),
    verificationMethods: map(fields['verificationMethods'], 'verificationMethods', text),
    alsoKnownAs: texts(fields['alsoKnownAs'], 'alsoKnownAs'),
    services: map(fields['services'], 'services', (service, field) => {
      const entry = record(service, field)
      only(entry, ['type', 'endpoint'])
      return { type: text(entry['type'], 'type'), endpoint: text(entry['endpoint'], 'endpoint') }
    }),
  }
}

/**
 * What an operation says about its DID, in today's form whatever its own; `undefined` for a tombstone. Hashes and
 * signatures stay those of the original form.
 */
export function plcOperationData(operation: AnyPlcOperation): PlcData | undefined {
  switch (operation.type) {
    case 'plc_tombstone':
      return undefined
    case 'plc_operation': {
      const { rotationKeys, verificationMethods, alsoKnownAs, services } = operation
      return { rotationKeys, verificationMethods, alsoKnownAs, services }
    }
    case 'create':
      return {
        rotationKeys: [operation.recoveryKey, operation.signingKey],
        verificationMethods: { atproto: operation.signingKey },
        alsoKnownAs: [handleAlias(operation.handle)],
        services: {
          atproto_pds: {
            type: 'AtprotoPersonalDataServer',
            endpoint: httpEndpoint(operation.service),
          },
        },
      }
  }
}

/** `at://` alias of a handle that may already be one, or may be a URL (as the first clients wrote it). */
export function handleAlias(handle: string): string {
  return handle.startsWith('at://') ? handle : `at://${handle.replace(/^https?:\/\//, '')}`
}

/** Endpoint of a host that may lack its scheme. */
export function httpEndpoint(endpoint: string): string {
  return /^https?:\/\//.test(endpoint) ? endpoint : `https://${endpoint}`
}

type Fields = Readonly<Record<string, unknown>>

function record(value: unknown, field: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new InvalidPlcOperationError(`${field} is not an object`)
  }
  // An object that is no array and not null is a record of unknowns.
  return value as Fields
}

function only(fields: Fields, names: readonly string[]): void {
  for (const name of Object.keys(fields)) {
    if (!names.includes(name)) throw new InvalidPlcOperationError('unknown field')
  }
}

function text(value: unknown, field: string): string {
  if (typeof value !== 'string') throw new InvalidPlcOperationError(`${field} is not a string`)
  // A lone surrogate has no UTF-8 form, so two operations would share one hash.
  if (LONE_SURROGATE.test(value))
    throw new InvalidPlcOperationError(`${field} is not well-formed Unicode`)
  return value
}

function texts(value: unknown, field: string): readonly string[] {
  if (!Array.isArray(value)) throw new InvalidPlcOperationError(`${field} is not a list`)
  if (value.length > MAX_LIST_ENTRIES) throw new InvalidPlcOperationError(`${field} is too long`)
  return value.map((entry: unknown) => text(entry, field))
}

function map<T>(
  value: unknown,
  field: string,
  parse: (entry: unknown, field: string) => T,
): Readonly<Record<string, T>> {
  const entries = Object.entries(record(value, field))
  if (entries.length > MAX_LIST_ENTRIES) throw new InvalidPlcOperationError(`${field} is too long`)
  // fromEntries defines own properties, so a key named __proto__ stays a key.
  return Object.fromEntries(entries.map(([key, entry]) => [text(key, field), parse(entry, field)]))
}
