import { expect, it } from 'vitest'

import { GroupCommit } from './group-commit.ts'
import { StoreFailureError } from './errors.ts'
import type { EngineContext } from './engine/apply-events.ts'
import type { IndexTransaction } from './stores/transaction.ts'

interface Thing {
  readonly key: string
  readonly size: number
}

/** Runs steps one transaction after the other; `work` sees the keys of each group. */
function create(work: (keys: readonly string[]) => readonly (string | Error)[]): {
  readonly commit: GroupCommit<Thing, string>
  readonly groups: string[][]
} {
  const groups: string[][] = []
  let tail: Promise<unknown> = Promise.resolve()
  const commit = new GroupCommit<Thing, string>({
    transact: <T>(
      step: (tx: IndexTransaction, context: EngineContext) => Generator<unknown, T, unknown>,
    ) => {
      const result = tail.then(() => {
        // The work of this test looks at neither.
        const step_ = step({} as IndexTransaction, {} as EngineContext).next()
        return step_.value as T
      })
      tail = result.catch(() => undefined)
      return result
    },
    // eslint-disable-next-line require-yield
    *work(_context, _tx, things) {
      const keys = things.map(({ key }) => key)
      groups.push(keys)
      return work(keys)
    },
    keyOf: ({ key }) => key,
    sizeOf: ({ size }) => size,
    maxSize: 10,
  })
  return { commit, groups }
}

it('does what waits at the same time together, as much as fits, and never two of one key', async () => {
  const { commit, groups } = create((keys) => keys.map((key) => key.toUpperCase()))
  const things = [
    { key: 'a', size: 4 },
    { key: 'b', size: 6 },
    { key: 'c', size: 20 },
    { key: 'd', size: 1 },
    { key: 'd', size: 1 },
  ]
  const outcomes = await Promise.all(things.map((thing) => commit.apply(thing)))
  expect(outcomes).toEqual(['A', 'B', 'C', 'D', 'D'])
  expect(groups).toEqual([['a', 'b'], ['c'], ['d'], ['d']])
  expect(await commit.apply({ key: 'e', size: 1 })).toBe('E')
})

it('fails what is refused and nothing else', async () => {
  const { commit } = create((keys) => keys.map((key) => (key === 'b' ? new Error('no') : key)))
  const outcomes = await Promise.allSettled(
    ['a', 'b', 'c'].map((key) => commit.apply({ key, size: 1 })),
  )
  expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
})

it('finds whose fault a failure is by doing each alone', async () => {
  const { commit, groups } = create((keys) => {
    if (keys.includes('b')) throw new TypeError('poison')
    return keys
  })
  const outcomes = await Promise.allSettled(
    ['a', 'b', 'c'].map((key) => commit.apply({ key, size: 1 })),
  )
  expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
  expect(groups).toEqual([['a', 'b', 'c'], ['a'], ['b'], ['c']])
})

it('does not try each alone when the database refuses', async () => {
  const { commit, groups } = create(() => {
    throw new StoreFailureError('gone')
  })
  const outcomes = await Promise.allSettled(['a', 'b'].map((key) => commit.apply({ key, size: 1 })))
  expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
  expect(groups).toHaveLength(1)
})
