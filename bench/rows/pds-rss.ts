import { measureProcesses, type Row } from '../pds-process.ts'

export const row: Row = {
  work: 'memory of an idle PDS after its first answer (resident set)',
  unit: 'MB',
  rivalName: '@atproto/pds',
  measure: () => measureProcesses('rssMb'),
}
