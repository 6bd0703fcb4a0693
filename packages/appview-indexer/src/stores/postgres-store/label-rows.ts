import { decodeLabelRow } from '../stored-row.ts'
import type { LabelKey, LabelRow } from '../transaction.ts'
import { columnsBytes } from './array-bytes.ts'
import type { Run, Send } from './run.ts'

/** The stored labels of statements, in the order asked. */
export async function readLabelRows(
  run: Run,
  keys: readonly LabelKey[],
): Promise<(LabelRow | undefined)[]> {
  const rows = await run(
    `SELECT k.n, l.* FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[])
         WITH ORDINALITY k (target, src, val, cid, n)
       JOIN ix_label l ON l.target = k.target AND l.src = k.src AND l.val = k.val AND l.cid = k.cid`,
    columnsBytes(keys, [
      ['bigint', ({ target }) => target],
      ['bigint', ({ src }) => src],
      ['text', ({ val }) => val],
      ['text', ({ cid }) => cid],
    ]),
  )
  const found = new Map(rows.map((row) => [Number(row['n']) - 1, decodeLabelRow(row)]))
  return keys.map((_, at) => found.get(at))
}

/** Stores labels; one of another process that is newer stays. */
export function putLabelRows(send: Send, labels: readonly LabelRow[]): void {
  send(
    `INSERT INTO ix_label SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::int[],
         $6::bigint[], $7::bigint[], $8::bytea[]) k ORDER BY 1, 2, 3, 4
       ON CONFLICT (target, src, val, cid) DO UPDATE
         SET neg = excluded.neg, cts = excluded.cts, exp = excluded.exp, bytes = excluded.bytes
         WHERE excluded.cts >= ix_label.cts`,
    columnsBytes(labels, [
      ['bigint', ({ target }) => target],
      ['bigint', ({ src }) => src],
      ['text', ({ val }) => val],
      ['text', ({ cid }) => cid],
      ['int', ({ neg }) => Number(neg)],
      ['bigint', ({ cts }) => cts],
      ['bigint', ({ exp }) => exp],
      ['bytea', ({ bytes }) => bytes],
    ]),
  )
}
