import type { Shard } from './shard.ts'
import type { IndexStore } from './stores/port.ts'

/** What the position of a source is stored under: each shard has its own. */
export function cursorName(source: string, { index, count }: Shard): string {
  return count === 1 ? source : `${source}#${index}/${count}`
}

/** A stored position. A shard that has none yet starts where the one furthest behind of any other division is. */
export async function readCursor(
  store: IndexStore,
  source: string,
  shard: Shard,
): Promise<number | undefined> {
  const rows = await store.query('SELECT name, cursor FROM ix_source', [])
  const own = rows.find(({ name }) => name === cursorName(source, shard))
  if (own !== undefined) return Number(own['cursor'])
  // Its sisters' positions say nothing: they may have come further before this one ever began.
  const sisters = `/${shard.count}`
  const others = rows.filter(({ name }) => {
    const text = String(name)
    return text === source || (text.startsWith(`${source}#`) && !text.endsWith(sisters))
  })
  if (others.length === 0) return undefined
  return Math.min(...others.map(({ cursor }) => Number(cursor)))
}
