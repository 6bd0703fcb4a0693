import { type Hydration, isRecordVisible } from '../hydration/hydration.ts'
import type { BlobUrls } from '../images/url.ts'
import { booleanField, listField, textField } from '../record-fields.ts'
import { isoTime } from './datetime.ts'
import { labelsOf } from './labels.ts'
import { profileView } from './profile.ts'
import type { GeneratorView } from './view-types.ts'

/** A feed generator; `undefined` when it is not indexed. */
export function generatorView(
  hydration: Hydration,
  urls: BlobUrls,
  uri: string,
): GeneratorView | undefined {
  const row = hydration.generators.get(uri)
  const did = textField(row?.record, 'did')
  if (row?.cid === undefined || did === undefined) return undefined
  if (!isRecordVisible(hydration, uri, row.did)) return undefined
  const description = textField(row.record, 'description')
  const contentMode = textField(row.record, 'contentMode')
  const acceptsInteractions = booleanField(row.record, 'acceptsInteractions')
  const avatar = urls.image('avatar', row.did, row.record?.['avatar'])
  const like = hydration.likes.get(uri)
  return {
    uri,
    cid: row.cid,
    did,
    creator: profileView(hydration, urls, row.did),
    displayName: row.displayName ?? '',
    ...(description === undefined ? {} : { description }),
    // Validated by the lexicon of the record, which shares the definition with the view.
    descriptionFacets: listField(
      row.record,
      'descriptionFacets',
    ) as GeneratorView['descriptionFacets'],
    ...(avatar === undefined ? {} : { avatar }),
    likeCount: hydration.counts.get(uri)?.['likeCount'] ?? 0,
    ...(acceptsInteractions === undefined ? {} : { acceptsInteractions }),
    labels: labelsOf(hydration, row),
    ...(hydration.viewer === undefined ? {} : { viewer: like === undefined ? {} : { like } }),
    ...(contentMode === undefined ? {} : { contentMode }),
    indexedAt: isoTime(row.indexedAt),
  }
}
