/** Repeatable randomness. */
export interface Random {
  /** A number from 0 up to 1. */
  next(): number
  /** An integer from 0 up to `below`. */
  integer(below: number): number
  /** One of the items. */
  pick<T>(items: readonly T[]): T
  /** True with this probability. */
  chance(probability: number): boolean
  bytes(length: number): Uint8Array
}

/** A generator that gives the same numbers for the same seed (mulberry32). Not for secrets that matter. */
export function createRandom(seed: number): Random {
  let state = seed >>> 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
  const integer = (below: number): number => Math.floor(next() * below)
  return {
    next,
    integer,
    pick: (items) => {
      const item = items[integer(items.length)]
      if (item === undefined) throw new RangeError('nothing to pick from')
      return item
    },
    chance: (probability) => next() < probability,
    bytes: (length) => Uint8Array.from({ length }, () => integer(256)),
  }
}
