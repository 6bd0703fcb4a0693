import { describe, expect, it } from 'vitest'
import { mergeSorted, type ReadSorted } from './merge-sorted.ts'
import { createRandom } from '@skywright/firehose/testing'

function listOf(items: readonly string[], onRead: (count: number) => void = () => undefined) {
  const sorted = [...items].toSorted()
  const read: ReadSorted = (after, count) => {
    const part = sorted.filter((item) => item > after).slice(0, count)
    onRead(part.length)
    return part
  }
  return read
}

function allPages(lists: readonly ReadSorted[], limit: number): readonly string[] {
  const items: string[] = []
  let after = ''
  for (;;) {
    const page = mergeSorted(lists, { limit, after })
    expect(page.items.length).toBeLessThanOrEqual(limit)
    items.push(...page.items)
    if (page.cursor === undefined) return items
    expect(page.cursor > after).toBe(true)
    after = page.cursor
  }
}

describe('mergeSorted', () => {
  it('is the sorted union of its lists, whatever the pages', () => {
    const random = createRandom(7)
    let merged = 0
    for (let run = 0; run < 200; run++) {
      const lists = Array.from({ length: random.integer(6) }, () =>
        Array.from({ length: random.integer(40) }, () => `k${String(random.integer(60))}`),
      )
      const expected = [...new Set(lists.flat())].toSorted()
      merged += expected.length
      // Lists hold each item once, as an index does.
      const readers = lists.map((list) => listOf([...new Set(list)]))
      for (const limit of [1, 2, 7, 1_000]) expect(allPages(readers, limit)).toEqual(expected)
    }
    expect(merged).toBeGreaterThan(2_000)
  })

  it('reads little more than a page, also of many long lists', () => {
    let read = 0
    const lists = Array.from({ length: 100 }, (_, i) =>
      listOf(
        Array.from({ length: 2_000 }, (__, n) => `did:${String(i)}:${String(n).padStart(5, '0')}`),
        (count) => {
          read += count
        },
      ),
    )
    expect(mergeSorted(lists, { limit: 10, after: '' }).items).toHaveLength(10)
    expect(read).toBeLessThanOrEqual(5_000)
  })
})
