import type { ChainState } from './outcome.ts'

/** Keeps one {@link ChainState} per repository. Reads are synchronous where possible: they are on the hot path. */
export interface ChainStore {
  get(did: string): ChainState | undefined | Promise<ChainState | undefined>
  /** Stores the state of an event that was completely handled. May become durable only at the next {@link flush}. */
  put(did: string, state: ChainState): void | Promise<void>
  /** Forgets a repository: its next commit is discontinuous. */
  delete(did: string): void | Promise<void>
  /** Whether the account was last said to be inactive. Absent: the store does not remember, none is. */
  isInactive?(did: string): boolean | Promise<boolean>
  /** Remembers what was last said of the account. May become durable only at the next {@link flush}. */
  setInactive?(did: string, inactive: boolean): void | Promise<void>
  /** Resolves when every {@link put} before is durable. A cursor is stored only after it. */
  flush?(): void | Promise<void>
}

/** A chain store that forgets at exit. */
export function createMemoryChainStore(): ChainStore {
  const states = new Map<string, ChainState>()
  const inactive = new Set<string>()
  return {
    get: (did) => states.get(did),
    put: (did, state) => {
      states.set(did, state)
    },
    delete: (did) => {
      states.delete(did)
    },
    isInactive: (did) => inactive.has(did),
    setInactive: (did, isInactive) => {
      if (isInactive) inactive.add(did)
      else inactive.delete(did)
    },
  }
}
