import { encodeCbor } from '../encode-cbor.ts'
import { cidFromKey, type CidKey, cidKeyForCbor } from '../cid.ts'
import { commonPrefixLength } from '../mst/common-prefix.ts'
import { keyDepth } from '../mst/depth.ts'

/** An entry of a node that is written as told, right or wrong. */
export interface RawEntry {
  /** The whole key, from which prefix and suffix follow, unless given. */
  readonly key: string
  readonly value: CidKey
  readonly tree?: CidKey | null
  readonly prefixLength?: number
  readonly suffix?: string
}

/** Writes blocks of a tree without asking whether they obey any rule. */
export class RawTree {
  readonly blocks: Map<CidKey, Uint8Array> = new Map()

  /** Adds a block and gives its key. */
  add(bytes: Uint8Array): CidKey {
    const cid = cidKeyForCbor(bytes)
    this.blocks.set(cid, bytes)
    return cid
  }

  /** Adds a record of the test collection. */
  record(text: string): CidKey {
    return this.add(encodeCbor({ $type: TEST_COLLECTION, text }))
  }

  /** Adds a node with these entries, and gives its key. */
  node(entries: readonly RawEntry[], left: CidKey | null = null): CidKey {
    return this.add(
      encodeCbor({ e: rawEntries(entries), l: left === null ? null : cidFromKey(left) }),
    )
  }
}

/** Gives the wire form of entries. */
export function rawEntries(entries: readonly RawEntry[]): readonly Record<string, unknown>[] {
  let previous = ''
  return entries.map(({ key, value, tree = null, prefixLength, suffix }) => {
    const p = prefixLength ?? commonPrefixLength(previous, key)
    const k = new TextEncoder().encode(suffix ?? key.slice(p))
    previous = key
    return { k, p, t: tree === null ? null : cidFromKey(tree), v: cidFromKey(value) }
  })
}

/** Collection of the records in broken repos. */
export const TEST_COLLECTION = 'com.example.note'

/** Gives the first `count` keys `<prefix><number>` of one depth from number `from` on, in ascending order. */
export function keysOfDepth(
  depth: number,
  count: number,
  from = 0,
  prefix: string = `${TEST_COLLECTION}/`,
): readonly string[] {
  const keys: string[] = []
  for (let n = from; keys.length < count; n++) {
    const key = prefix + String(n).padStart(6, '0')
    if (keyDepth(key) === depth) keys.push(key)
  }
  return keys
}
