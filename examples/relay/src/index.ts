/**
 * A relay: many firehoses verified and merged into one.
 *
 * @packageDocumentation
 */
export { ConfigError, readConfig } from './config.ts'
export type { RelayConfig } from './config.ts'
export { startReplica } from './replica.ts'
export { startRelay } from './server.ts'
export type { FollowingRelay, RelayOverrides, RunningRelay } from './server.ts'
