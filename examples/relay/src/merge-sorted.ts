/** Reads so many of a sorted list of texts, from behind one of them. */
export type ReadSorted = (after: string, count: number) => readonly string[]

/** A part of a list. */
export interface MergedPage {
  readonly items: readonly string[]
  /** Where to go on; `undefined` at the end. */
  readonly cursor: string | undefined
}

/** Items read of all lists together in one round. */
const ROUND_ITEMS = 5_000

/** One page of the union of sorted lists, each item once: what lies in it is read, and little more. */
export function mergeSorted(
  lists: readonly ReadSorted[],
  { limit, after }: { readonly limit: number; readonly after: string },
): MergedPage {
  const count = Math.max(
    1,
    Math.min(limit + 1, Math.floor(ROUND_ITEMS / Math.max(1, lists.length))),
  )
  const items: string[] = []
  let open = lists
  for (let position = after; open.length > 0 && items.length <= limit;) {
    const parts = open.map((read) => ({ read, part: read(position, count) }))
    const unfinished = parts.filter(({ part }) => part.length === count)
    // Up to here every list was read.
    const ends = unfinished.map(({ part }) => part.at(-1) ?? '')
    const end = ends.toSorted(compare)[0]
    const known = new Set(parts.flatMap(({ part }) => part))
    for (const item of [...known].toSorted(compare)) {
      if (end === undefined || compare(item, end) <= 0) items.push(item)
    }
    if (end === undefined) break
    position = end
    // Finished lists may still hold what lies behind the end: they are read again from there.
    open = parts
      .filter(({ part }) => part.length === count || compare(part.at(-1) ?? '', position) > 0)
      .map(({ read }) => read)
  }
  const page = items.slice(0, limit)
  return { items: page, cursor: items.length > limit ? page.at(-1) : undefined }
}

/** By code unit, which for ASCII is the order of SQLite. */
function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
