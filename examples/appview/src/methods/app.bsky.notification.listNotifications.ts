import type { Notification } from '@skywright/appview-indexer'
import type { XrpcMethod } from '@skywright/xrpc'
import type { AppQuery } from '../app-query.ts'
import { parseRecordUri } from '../at-uri.ts'
import type { AppCollections, AppIndex } from '../collections.ts'
import { fillPage } from '../fill-page.ts'
import { hydrateActors } from '../hydration/actors.ts'
import { createHydration, isBlocked, isRecordVisible } from '../hydration/hydration.ts'
import { hydrateLabels } from '../hydration/labels.ts'
import type { BlobUrls } from '../images/url.ts'
import { isoTime } from '../views/datetime.ts'
import { labelsOf } from '../views/labels.ts'
import { profileView } from '../views/profile.ts'

/** Collections whose records notify, by NSID. */
const NOTIFYING = new Map<string, keyof AppCollections>([
  ['app.bsky.feed.post', 'post'],
  ['app.bsky.feed.like', 'like'],
  ['app.bsky.feed.repost', 'repost'],
  ['app.bsky.graph.follow', 'follow'],
])

/**
 * What others did that concerns the viewer, newest first. Nothing about records that are gone. What was seen is not
 * kept here: `isRead` compares with the `seenAt` that the caller sends.
 */
export function listNotifications({
  index,
  urls,
  query,
}: {
  readonly index: AppIndex
  readonly urls: BlobUrls
  readonly query: AppQuery
}): XrpcMethod {
  return query.signedIn(
    'app.bsky.notification.listNotifications',
    async ({ params, viewer, caller }) => {
      const { reasons, seenAt } = params
      const seen = seenAt === undefined ? undefined : Date.parse(seenAt)
      const { items: notifications, cursor } = await fillPage(
        params,
        (page) =>
          index.notifications(viewer, { ...page, ...(reasons === undefined ? {} : { reasons }) }),
        async (rows) => {
          const [records, subjects] = await Promise.all([
            readRecords(
              index,
              rows.map((row) => row.uri),
            ),
            readRecords(
              index,
              rows.flatMap((row) => row.subject ?? []),
            ),
          ])
          const hydration = createHydration(caller)
          await hydrateActors(
            index,
            hydration,
            rows.map((row) => row.author),
          )
          await hydrateLabels(index, hydration, records.values())
          return rows.flatMap((row) => {
            const source = records.get(row.uri)
            if (source?.cid === undefined || source.record === undefined) return []
            if (!isRecordVisible(hydration, row.uri, row.author)) return []
            if (isBlocked(hydration, row.author)) return []
            if (isSubjectGone(row, subjects)) return []
            return [
              {
                uri: row.uri,
                cid: source.cid,
                author: profileView(hydration, urls, row.author),
                reason: row.reason,
                ...(row.subject?.startsWith('at://') === true
                  ? { reasonSubject: row.subject }
                  : {}),
                record: source.record,
                isRead: seen !== undefined && source.indexedAt <= seen,
                indexedAt: isoTime(source.indexedAt),
                labels: labelsOf(hydration, source),
              },
            ]
          })
        },
      )
      return {
        notifications,
        ...(cursor === undefined ? {} : { cursor }),
        priority: false,
        ...(seenAt === undefined ? {} : { seenAt }),
      }
    },
  )
}

type SourceRow =
  Awaited<ReturnType<typeof readRecords>> extends ReadonlyMap<string, infer R> ? R : never

/** Reads records of several collections, one batch a collection. */
async function readRecords(
  index: AppIndex,
  uris: readonly string[],
): Promise<
  ReadonlyMap<
    string,
    Parameters<typeof labelsOf>[1] & {
      readonly indexedAt: number
      readonly record: object | undefined
    }
  >
> {
  const byCollection = new Map<keyof AppCollections, string[]>()
  for (const uri of new Set(uris)) {
    const from = NOTIFYING.get(parseRecordUri(uri)?.collection ?? '')
    if (from === undefined) continue
    byCollection.set(from, [...(byCollection.get(from) ?? []), uri])
  }
  const reads = [...byCollection].map(([from, wanted]) => index.getMany(from, wanted))
  return new Map((await Promise.all(reads)).flatMap((rows) => [...rows]))
}

/** A like or repost of a post that was deleted concerns nobody any more. */
function isSubjectGone(row: Notification, subjects: ReadonlyMap<string, SourceRow>): boolean {
  if (row.reason === 'follow' || row.subject === undefined || row.reason === 'mention') return false
  return !subjects.has(row.subject) && NOTIFYING.has(parseRecordUri(row.subject)?.collection ?? '')
}
