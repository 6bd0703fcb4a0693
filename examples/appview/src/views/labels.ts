import { listField, objectField, textField } from '../record-fields.ts'
import { isoTime } from './datetime.ts'
import type { Label } from './view-types.ts'

/** Values beyond these are ignored: the lexicon allows ten. */
const MAX_SELF_LABELS = 10

/** What the author said about a record: its self-labels. */
export function selfLabels(row: {
  readonly uri: string
  readonly did: string
  readonly cid: string | undefined
  readonly sortAt: number
  readonly record: unknown
}): Label[] {
  return listField(objectField(row.record, 'labels'), 'values')
    .slice(0, MAX_SELF_LABELS)
    .flatMap((item) => {
      const val = textField(item, 'val')
      if (val === undefined) return []
      return [
        {
          src: row.did,
          uri: row.uri,
          ...(row.cid === undefined ? {} : { cid: row.cid }),
          val,
          cts: isoTime(row.sortAt),
        },
      ]
    })
}
