import type { Page, PageOptions } from '@skywright/appview-indexer'

/** The most that one read of the index takes or gives. */
export const MAX_BATCH = 1_000

/** Splits a list into parts that the index takes in one read. */
export function* batches<T>(
  items: Iterable<T>,
  size: number = MAX_BATCH,
): Generator<readonly T[], void, void> {
  const all = [...items]
  for (let start = 0; start < all.length; start += size) yield all.slice(start, start + size)
}

/** Every row of a query whose result is known to be small, page after page. */
export async function readAll<T>(query: {
  page(options: PageOptions): Promise<Page<T>>
}): Promise<readonly T[]> {
  const rows: T[] = []
  let cursor: string | undefined
  do {
    const page: Page<T> = await query.page({ limit: MAX_BATCH, cursor })
    rows.push(...page.rows)
    cursor = page.cursor
  } while (cursor !== undefined)
  return rows
}
