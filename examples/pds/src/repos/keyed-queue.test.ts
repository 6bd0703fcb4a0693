import { describe, expect, it } from 'vitest'
import { createKeyedQueue } from './keyed-queue.ts'

describe('createKeyedQueue', () => {
  it('runs work of one key in order and one at a time, and keys beside each other', async () => {
    const queue = createKeyedQueue()
    const seen: string[] = []
    const gate = Promise.withResolvers<void>()
    const first = queue('a', async () => {
      await gate.promise
      seen.push('a1')
    })
    const second = queue('a', async () => {
      seen.push('a2')
    })
    await queue('b', async () => {
      seen.push('b1')
    })
    expect(seen).toEqual(['b1'])
    gate.resolve()
    await Promise.all([first, second])
    expect(seen).toEqual(['b1', 'a1', 'a2'])
  })

  it('goes on after work that failed', async () => {
    const queue = createKeyedQueue()
    const failing = queue('a', () => Promise.reject(new Error('no')))
    const after = queue('a', () => Promise.resolve('yes'))
    await expect(failing).rejects.toThrow('no')
    expect(await after).toBe('yes')
  })
})
