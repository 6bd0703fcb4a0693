/**
 * The relay engine: hosts in, one verified sequence out.
 *
 * @packageDocumentation
 */
export { accountStatus } from './account-state.ts'
export { createMemoryRelayStore } from './memory-store.ts'
export { createRelay } from './relay-engine.ts'
export type { FollowHostOptions, HostChange, Relay, RelayOptions } from './relay.ts'
export type {
  ConnectionNotice,
  EventNotice,
  FailureNotice,
  RelayNotice,
  RelayRejectReason,
  StatusNotice,
} from './notice.ts'
export type {
  AccountRecord,
  HostEnforcement,
  HostRecord,
  HostStatus,
  Page,
  RelayAppend,
  RelayChange,
  RelayStore,
} from './ports.ts'
