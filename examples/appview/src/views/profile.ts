import { INVALID_HANDLE } from '@skywright/identity'
import { type Hydration, isBlocked } from '../hydration/hydration.ts'
import type { BlobUrls } from '../images/url.ts'
import { objectField, textField } from '../record-fields.ts'
import { isoTime } from './datetime.ts'
import { accountLabels } from './labels.ts'
import type {
  ActorViewerState,
  ProfileView,
  ProfileViewBasic,
  ProfileViewDetailed,
} from './view-types.ts'

/** How the viewer stands to an account. A block hides who follows whom. */
export function actorViewerState(hydration: Hydration, did: string): ActorViewerState | undefined {
  if (hydration.viewer === undefined) return undefined
  const { following, followedBy, blocking, blockedBy } = hydration.relations.get(did) ?? {}
  const blocked = isBlocked(hydration, did)
  return {
    muted: false,
    blockedBy: blockedBy !== undefined,
    ...(blocking === undefined ? {} : { blocking }),
    ...(following === undefined || blocked ? {} : { following }),
    ...(followedBy === undefined || blocked ? {} : { followedBy }),
  }
}

/** The name tag of an account, as shown beside its posts. */
export function profileViewBasic(
  hydration: Hydration,
  urls: BlobUrls,
  did: string,
): ProfileViewBasic {
  const row = hydration.profiles.get(did)
  const record = row?.record
  const displayName = textField(record, 'displayName')
  const pronouns = textField(record, 'pronouns')
  const createdAt = textField(record, 'createdAt')
  const avatar = urls.image('avatar', did, record?.['avatar'])
  const viewer = actorViewerState(hydration, did)
  return {
    did,
    handle: hydration.actors.get(did)?.handle ?? INVALID_HANDLE,
    ...(displayName === undefined ? {} : { displayName }),
    ...(pronouns === undefined ? {} : { pronouns }),
    ...(avatar === undefined ? {} : { avatar }),
    ...(viewer === undefined ? {} : { viewer }),
    labels: accountLabels(hydration, did),
    ...(createdAt === undefined ? {} : { createdAt }),
  }
}

/** An account as lists of accounts show it. */
export function profileView(hydration: Hydration, urls: BlobUrls, did: string): ProfileView {
  const row = hydration.profiles.get(did)
  const description = textField(row?.record, 'description')
  return {
    ...profileViewBasic(hydration, urls, did),
    ...(description === undefined ? {} : { description }),
    ...(row === undefined ? {} : { indexedAt: isoTime(row.indexedAt) }),
  }
}

/** An account as its own page shows it. Needs the counts of its DID. */
export function profileViewDetailed(
  hydration: Hydration,
  urls: BlobUrls,
  did: string,
): ProfileViewDetailed {
  const record = hydration.profiles.get(did)?.record
  const counts = hydration.counts.get(did)
  const website = textField(record, 'website')
  const banner = urls.image('banner', did, record?.['banner'])
  const pinned = objectField(record, 'pinnedPost')
  const pinnedUri = textField(pinned, 'uri')
  const pinnedCid = textField(pinned, 'cid')
  return {
    ...profileView(hydration, urls, did),
    ...(website === undefined ? {} : { website }),
    ...(banner === undefined ? {} : { banner }),
    followersCount: counts?.['followersCount'] ?? 0,
    followsCount: counts?.['followsCount'] ?? 0,
    postsCount: counts?.['postsCount'] ?? 0,
    ...(pinnedUri === undefined || pinnedCid === undefined
      ? {}
      : { pinnedPost: { uri: pinnedUri, cid: pinnedCid } }),
  }
}
