import { openSegmentEventLog } from '@skywright/firehose/segments'
import { logReplayRow } from '../log-replay.ts'
import type { Row } from '../row.ts'

export const row: Row = logReplayRow('segment files', (folder) =>
  openSegmentEventLog({ folder: `${folder}/log` }),
)
