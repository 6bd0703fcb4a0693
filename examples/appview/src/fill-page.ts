import type { Page } from '@skywright/appview-indexer'

/** Rounds after which a page is answered short, with a cursor to go on from. */
const MAX_ROUNDS = 8

export interface FilledPage<T> {
  readonly items: readonly T[]
  readonly cursor?: string
}

/**
 * Reads until a page is full although some rows are not for this viewer. Never loses a row: each round reads
 * only as many as are still missing, so the cursor always stands right behind the last row looked at.
 */
export async function fillPage<Row, Item>(
  page: { readonly limit: number; readonly cursor?: string | undefined },
  read: (page: {
    readonly limit: number
    readonly cursor: string | undefined
  }) => Promise<Page<Row>>,
  keep: (rows: readonly Row[]) => Promise<readonly Item[]>,
): Promise<FilledPage<Item>> {
  const items: Item[] = []
  let { cursor } = page
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const { rows, cursor: next } = await read({ limit: page.limit - items.length, cursor })
    if (rows.length > 0) items.push(...(await keep(rows)))
    cursor = next
    if (cursor === undefined || items.length >= page.limit) break
  }
  return { items, ...(cursor === undefined ? {} : { cursor }) }
}
