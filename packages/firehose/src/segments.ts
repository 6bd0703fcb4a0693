/**
 * An event log in append-only, checksummed segment files, for relays.
 *
 * @packageDocumentation
 */
export { openSegmentEventLog } from './event-log/segments/segment-log.ts'
export type { SegmentEventLogOptions } from './event-log/segments/segment-log.ts'
