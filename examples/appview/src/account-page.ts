import type { Page } from '@skywright/appview-indexer'
import type { AppIndex } from './collections.ts'
import { fillPage } from './fill-page.ts'
import { hydrateActors } from './hydration/actors.ts'
import { type Caller, createHydration, isBlocked, isVisible } from './hydration/hydration.ts'
import type { BlobUrls } from './images/url.ts'
import { profileView } from './views/profile.ts'
import type { ProfileView } from './views/view-types.ts'

/** One row of a list of accounts: the row it is from and the account it stands for. */
export interface AccountEntry<Row> {
  readonly row: Row
  readonly account: ProfileView
}

/** A page of accounts out of rows that each name one. Hidden accounts and those across a block are left out. */
export async function accountPage<Row>(
  index: AppIndex,
  urls: BlobUrls,
  caller: Caller,
  options: {
    readonly page: { readonly limit: number; readonly cursor?: string | undefined }
    readonly read: (page: {
      readonly limit: number
      readonly cursor: string | undefined
    }) => Promise<Page<Row>>
    /** DID of the account that a row stands for. */
    readonly didOf: (row: Row) => string
  },
): Promise<{ readonly entries: readonly AccountEntry<Row>[]; readonly cursor?: string }> {
  const { page, read, didOf } = options
  const { items, cursor } = await fillPage(page, read, async (rows) => {
    const hydration = createHydration(caller)
    await hydrateActors(index, hydration, rows.map(didOf))
    return rows.flatMap((row) => {
      const did = didOf(row)
      if (!isVisible(hydration, did) || isBlocked(hydration, did)) return []
      return [{ row, account: profileView(hydration, urls, did) }]
    })
  })
  return { entries: items, ...(cursor === undefined ? {} : { cursor }) }
}

/** One account as lists show it. */
export async function oneAccount(
  index: AppIndex,
  urls: BlobUrls,
  caller: Caller,
  did: string,
): Promise<ProfileView> {
  const hydration = createHydration(caller)
  await hydrateActors(index, hydration, [did])
  return profileView(hydration, urls, did)
}
