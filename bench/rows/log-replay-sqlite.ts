import { openSqliteEventLog } from '@skywright/firehose/sqlite'
import { logReplayRow } from '../log-replay.ts'
import type { Row } from '../row.ts'

export const row: Row = logReplayRow('SQLite', (folder) =>
  Promise.resolve(openSqliteEventLog({ database: `${folder}/log.sqlite` })),
)
