/**
 * did:plc: operations, logs and a client.
 *
 * @packageDocumentation
 */
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
export { createPlcClient } from './client.ts'
export type { PlcClient, PlcClientOptions, PlcExportEntry, PlcRequestOptions } from './client.ts'
export {
  createPlcIdentity,
  createPlcOperation,
  createPlcTombstone,
  signPlcOperation,
  updatePlcOperation,
} from './sign.ts'
export type { CreatePlcIdentityOptions, PlcGenesis } from './sign.ts'
