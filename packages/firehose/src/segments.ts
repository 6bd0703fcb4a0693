/**
 * An event log in append-only, checksummed segment files, for relays.
 *
 * @packageDocumentation
 */
export { openSegmentEventLog } from './event-log/segments/open-segments.ts'
export type {
  NumberedEvent,
  SegmentEventLog,
  SegmentEventLogOptions,
} from './event-log/segments/segment-event-log.ts'
export type { SegmentAppend, SegmentEntry } from './event-log/segments/record.ts'
