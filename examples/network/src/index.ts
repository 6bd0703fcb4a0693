/**
 * The whole network in one process, for sandboxes and end-to-end tests.
 *
 * @packageDocumentation
 */
export { runDemonstration } from './demonstration.ts'
export type {
  DemonstrationLogin,
  DemonstrationOptions,
  DemonstrationPds,
  DemonstrationResult,
  DemonstrationStep,
} from './demonstration.ts'
export { startNetwork } from './network.ts'
export type { Network, NetworkClients, NetworkOptions, NetworkPds } from './network.ts'
