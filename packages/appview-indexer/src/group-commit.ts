import { setImmediate } from 'node:timers/promises'

import type { EngineContext } from './engine/apply-events.ts'
import { StoreFailureError } from './errors.ts'
import type { IndexTransaction } from './stores/transaction.ts'

/** Work on several things in one transaction: an answer to each, in order; an error to those it refuses. */
export type GroupWork<I, O> = (
  context: EngineContext,
  tx: IndexTransaction,
  items: readonly I[],
) => Generator<unknown, readonly (O | Error)[], unknown>

/** Runs a transaction after those that wait already. */
type Transact = <T>(
  work: (tx: IndexTransaction, context: EngineContext) => Generator<unknown, T, unknown>,
) => Promise<T>

/** Options of {@link GroupCommit}. */
export interface GroupCommitOptions<I, O> {
  readonly transact: Transact
  readonly work: GroupWork<I, O>
  /** Things of one key never share a transaction. */
  readonly keyOf: (item: I) => string
  readonly sizeOf: (item: I) => number
  /** A transaction takes things until they are this large together, and at least one. */
  readonly maxSize: number
}

interface Waiting<I, O> {
  readonly item: I
  readonly resolve: (outcome: O) => void
  readonly reject: (error: unknown) => void
}

/** Small things that wait for the writer at the same time are done in one transaction. */
export class GroupCommit<I, O> {
  readonly #options: GroupCommitOptions<I, O>
  #waiting: Waiting<I, O>[] = []
  #hasTurn = false

  constructor(options: GroupCommitOptions<I, O>) {
    this.#options = options
  }

  /** Does one thing. @throws what its work answers or throws */
  apply(item: I): Promise<O> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ item, resolve, reject })
      if (!this.#hasTurn) void this.#turn()
    })
  }

  async #turn(): Promise<void> {
    this.#hasTurn = true
    // Whatever comes in the same turn of the event loop comes along; and everything else has its turn.
    await setImmediate()
    let group: readonly Waiting<I, O>[] | undefined
    try {
      const outcomes = await this.#options.transact((tx, context) => {
        // After a conflict the same ones once more.
        group ??= this.#take()
        return this.#work(context, tx, group)
      })
      settle(group ?? [], outcomes)
    } catch (error) {
      group ??= this.#take()
      if (group.length === 1 || error instanceof StoreFailureError)
        for (const { reject } of group) reject(error)
      else for (const waiting of group) await this.#alone(waiting)
    }
  }

  /** One of a group that failed: whose fault it was is not known. */
  async #alone(waiting: Waiting<I, O>): Promise<void> {
    try {
      const group = [waiting]
      settle(group, await this.#options.transact((tx, context) => this.#work(context, tx, group)))
    } catch (error) {
      waiting.reject(error)
    }
  }

  #work(
    context: EngineContext,
    tx: IndexTransaction,
    group: readonly Waiting<I, O>[],
  ): ReturnType<GroupWork<I, O>> {
    return this.#options.work(
      context,
      tx,
      group.map(({ item }) => item),
    )
  }

  /** Those whose turn it is; the others get the next one. */
  #take(): readonly Waiting<I, O>[] {
    const { keyOf, sizeOf, maxSize } = this.#options
    const group: Waiting<I, O>[] = []
    const rest: Waiting<I, O>[] = []
    const keys = new Set<string>()
    let size = 0
    for (const waiting of this.#waiting) {
      const key = keyOf(waiting.item)
      const fits = group.length === 0 || size + sizeOf(waiting.item) <= maxSize
      if (!fits || rest.length > 0 || keys.has(key)) {
        rest.push(waiting)
        continue
      }
      keys.add(key)
      size += sizeOf(waiting.item)
      group.push(waiting)
    }
    this.#waiting = rest
    this.#hasTurn = false
    if (rest.length > 0) void this.#turn()
    return group
  }
}

function settle<I, O>(group: readonly Waiting<I, O>[], outcomes: readonly (O | Error)[]): void {
  for (const [index, { resolve, reject }] of group.entries()) {
    const outcome = outcomes[index]
    if (outcome === undefined || outcome instanceof Error)
      reject(outcome ?? new TypeError('no outcome'))
    else resolve(outcome)
  }
}
