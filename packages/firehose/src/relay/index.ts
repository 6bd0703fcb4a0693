/**
 * The relay engine: hosts in, one verified sequence out.
 *
 * @packageDocumentation
 */
export type {
  AccountRecord,
  HostEnforcement,
  HostRecord,
  HostStatus,
  Page,
  RelayChange,
  RelayStore,
} from './ports.ts'
