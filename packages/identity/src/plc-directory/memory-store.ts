import type { PlcStore, SequencedPlcEntry } from './store.ts'

/** A store that forgets when the process ends. */
export function createMemoryPlcStore(): PlcStore {
  const log: SequencedPlcEntry[] = []
  /** Positions in `log` of each DID's entries. */
  const positions = new Map<string, number[]>()
  const entries = (did: string): SequencedPlcEntry[] =>
    (positions.get(did) ?? []).flatMap((position) => log[position] ?? [])

  return {
    entries,
    append(entry, { expectedLength, nullify }) {
      const own = positions.get(entry.did) ?? []
      if (own.length !== expectedLength) return undefined
      for (const position of own) {
        const old = log[position]
        if (old !== undefined && nullify.includes(old.cid))
          log[position] = { ...old, nullified: true }
      }
      const seq = log.length + 1
      own.push(log.length)
      log.push({ ...entry, seq })
      positions.set(entry.did, own)
      return seq
    },
    exportAfterSeq: (after, count) => log.slice(after, after + count),
    exportAfterTime(after, count) {
      const sorted = log
        .filter(({ createdAt }) => after === undefined || createdAt > after)
        .sort((a, b) => compare(a.createdAt, b.createdAt) || compare(a.cid, b.cid))
      const last = sorted[count - 1]
      return last === undefined
        ? sorted
        : sorted.filter((entry, index) => index < count || entry.createdAt === last.createdAt)
    },
    lastSeq: () => log.length,
  }
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
