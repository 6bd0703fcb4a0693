/**
 * For tests of things built on this package: conformance cases and fakes of its ports.
 *
 * @packageDocumentation
 */
export { eventLogCases, identityAppend } from './event-log-cases.ts'
export type { ConformanceCase, EventLogHarness } from './event-log-cases.ts'
