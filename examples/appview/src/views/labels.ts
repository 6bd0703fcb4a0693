import type { SubjectLabels } from '@skywright/appview-indexer'
import { type Hydration, isActedOn } from '../hydration/hydration.ts'
import { listField, objectField, textField } from '../record-fields.ts'
import { isoTime } from './datetime.ts'
import type { Label } from './view-types.ts'

/** Values beyond these are ignored: the lexicon allows ten. */
const MAX_SELF_LABELS = 10

/** What is said of a record: by its author, and by the labelers that the caller listens to. */
export function labelsOf(hydration: Hydration, row: Parameters<typeof selfLabels>[0]): Label[] {
  return [...selfLabels(row), ...labelViews(hydration, row.uri)]
}

/** The same of an account and its profile. */
export function accountLabels(hydration: Hydration, did: string): Label[] {
  const profile = hydration.profiles.get(did)
  return [
    ...(profile === undefined ? [] : labelsOf(hydration, profile)),
    ...labelViews(hydration, did),
  ]
}

function labelViews(hydration: Hydration, subject: string): Label[] {
  const said: SubjectLabels['labels'] = hydration.labels.get(subject)?.labels ?? []
  return said
    .filter((label) => !isActedOn(hydration, label))
    .map(({ sig: _sig, ...label }) => label)
}

/** What the author said about a record: its self-labels. */
function selfLabels(row: {
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
