import { measureProcesses, type Row } from '../pds-process.ts'

export const row: Row = {
  work: 'start a PDS: from spawning the process to its first answer, empty data folder',
  unit: 'ms',
  rivalName: '@atproto/pds',
  measure: () => measureProcesses('startMs'),
}
