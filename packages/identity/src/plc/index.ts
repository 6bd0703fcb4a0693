/**
 * did:plc: make, sign and verify operations and logs, and speak to a directory.
 *
 * @packageDocumentation
 */
export {
  PLC_RECOVERY_WINDOW_MS,
  verifyAuditLog,
  verifyNextPlcOperation,
  verifyOperationLog,
} from './audit-log.ts'
export type { PlcChainEntry, PlcPlacement, VerifiedPlcEntry, VerifiedPlcLog } from './audit-log.ts'
export { DEFAULT_PLC_URL, createPlcClient } from './client.ts'
export type { PlcClient, PlcClientOptions, PlcExportEntry, PlcRequestOptions } from './client.ts'
export { readPlcExportStream } from './export-stream.ts'
export type { PlcExportStreamOptions } from './export-stream.ts'
export { plcDidDocument } from './did-document.ts'
export { encodePlcOperation, plcGenesisDid, plcOperationCid, plcSigningBytes } from './encoding.ts'
export { PLC_DIRECTORY_LIMITS, PLC_PRODUCER_LIMITS, checkPlcLimits } from './limits.ts'
export type { PlcLimits } from './limits.ts'
export { MAX_PLC_OPERATION_BYTES, parsePlcOperation, plcOperationData } from './operation.ts'
export type {
  AnyPlcOperation,
  LegacyPlcCreate,
  PlcData,
  PlcDocumentData,
  PlcLogEntry,
  PlcOperation,
  PlcService,
  PlcTombstone,
  UnsignedPlcOperation,
  UnsignedPlcTombstone,
} from './operation.ts'
export {
  createPlcIdentity,
  createPlcOperation,
  createPlcTombstone,
  signPlcOperation,
  updatePlcOperation,
} from './sign.ts'
export type { CreatePlcIdentityOptions, PlcChange, PlcGenesis } from './sign.ts'
export {
  DidDeactivatedError,
  DidNotFoundError,
  InvalidPlcLogError,
  InvalidPlcOperationError,
  PlcRequestFailedError,
} from '../errors.ts'
