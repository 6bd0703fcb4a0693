/**
 * For tests of things built on this package: conformance cases and fakes of its ports.
 *
 * @packageDocumentation
 */
export { eventLogCases, identityAppend } from './event-log-cases.ts'
export type { ConformanceCase, EventLogHarness } from './event-log-cases.ts'
export { createFakeClock } from './fake-clock.ts'
export type { FakeClock } from './fake-clock.ts'
export { createLoopback } from './loopback.ts'
export type { Loopback } from './loopback.ts'
export { historyLies } from './history-lies.ts'
export type { HistoryLie, ToldEvent, ToldOutcome } from './history-lies.ts'
export type { Lie, LieContext } from './lie.ts'
export { commitLies } from './lies.ts'
export { createRandom } from './random.ts'
export type { Random } from './random.ts'
export { SimulatedNetwork } from './simulated-network.ts'
export type { SimulatedAccount, SimulatedHost, SimulationOptions } from './simulated-network.ts'
export { playRelayCases, relayCases } from './relay-cases.ts'
export type {
  RelayCase,
  RelayCaseContext,
  RelayCaseResult,
  RelayCasesOptions,
} from './relay-cases.ts'
export type { RelayProbeOptions } from './relay-probe.ts'
export { playRelayScenario } from './relay-scenario.ts'
export type { RelayScenarioOptions, RelayScenarioResult } from './relay-scenario.ts'
export { serveSimulatedNetwork } from './serve-network.ts'
export type { ServedNetwork, ServeNetworkOptions } from './serve-network.ts'
