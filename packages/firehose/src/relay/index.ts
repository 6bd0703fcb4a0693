/**
 * The relay engine: hosts in, one verified sequence out.
 *
 * @packageDocumentation
 */
export { accountStatus } from './account-state.ts'
export { createMemoryRelayStore } from './memory-store.ts'
export { createRelay } from './relay-engine.ts'
export type { ErasableLog, FollowHostOptions, HostChange, Relay, RelayOptions } from './relay.ts'
export { replicate } from './replica.ts'
export type { ReplicaLog, ReplicaNotice, ReplicateOptions } from './replica.ts'
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
