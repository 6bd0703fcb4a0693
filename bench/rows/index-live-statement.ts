import { Kysely, SqliteDialect } from 'kysely'
import { raceLive, recordOf } from '../index-load.ts'
import { handWrittenRow, openHandWritten } from '../index-rivals.ts'
import type { Row } from '../row.ts'

interface Tables {
  readonly post: Record<string, string | undefined>
  readonly like: Record<string, string | undefined>
  readonly follow: Record<string, string | undefined>
}

export const row: Row = {
  work: 'index a live stream; the rival the way of statusphere and of handlers behind tap: one upsert awaited an event, no cursor',
  unit: '/s',
  rivalName: 'kysely on better-sqlite3',
  measure: () =>
    raceLive(async (path, events) => {
      const database = openHandWritten(path)
      const db = new Kysely<Tables>({ dialect: new SqliteDialect({ database }) })
      for (const event of events) {
        const { table, ...all } = handWrittenRow(event.did, recordOf(event))
        const { subject, text, ...common } = all
        const values = table === 'post' ? { ...common, text } : { ...common, subject }
        await db
          .insertInto(table)
          .values(values)
          .onConflict((conflict) => conflict.column('uri').doUpdateSet({ cid: common.cid }))
          .execute()
      }
      await db.destroy()
    }),
}
