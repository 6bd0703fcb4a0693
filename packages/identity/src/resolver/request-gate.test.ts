import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { ResolutionFailedError } from '../errors.ts'
import { RequestGate } from './request-gate.ts'

const limits = {
  maxConcurrentPerHost: 2,
  maxConcurrent: 3,
  maxPerSecondPerHost: 1000,
  maxWaiting: 10,
}
const { signal } = new AbortController()

/** Work that ends when told, and remembers what started. */
function worker(gate: RequestGate) {
  const started: string[] = []
  const finish = new Map<string, () => void>()
  const run = (host: string, name: string, abort = signal) =>
    gate.run(host, 'plc', abort, () => {
      started.push(name)
      return new Promise<void>((resolve) => finish.set(name, resolve))
    })
  return { run, started, finish: (name: string) => finish.get(name)?.() }
}

const turns = async () => {
  for (let turn = 0; turn < 5; turn++) await Promise.resolve()
}

describe('RequestGate', () => {
  beforeEach(() => {
    vi.useFakeTimers()
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  it('bounds requests per host and in all, and starts waiting ones in order', async () => {
    const gate = new RequestGate(limits)
    const { run, started, finish } = worker(gate)
    const all = [run('a', 'a1'), run('a', 'a2'), run('a', 'a3'), run('b', 'b1'), run('b', 'b2')]
    expect(started).toEqual(['a1', 'a2', 'b1'])
    expect(gate.waiting).toBe(2)
    finish('b1')
    await turns()
    expect(started).toEqual(['a1', 'a2', 'b1', 'b2'])
    finish('a2')
    await turns()
    expect(started.at(-1)).toBe('a3')
    for (const name of ['a1', 'a3', 'b2']) finish(name)
    await Promise.all(all)
    expect(gate.waiting).toBe(0)
  })

  it('starts no more per second than allowed, and goes on in the next', async () => {
    const gate = new RequestGate({
      ...limits,
      maxConcurrentPerHost: 9,
      maxConcurrent: 9,
      maxPerSecondPerHost: 2,
    })
    const done: number[] = []
    const all = [1, 2, 3, 4, 5].map((n) =>
      gate.run('a', 'plc', signal, async () => {
        await Promise.resolve()
        done.push(n)
      }),
    )
    await vi.advanceTimersByTimeAsync(0)
    expect(done).toEqual([1, 2])
    await vi.advanceTimersByTimeAsync(1000)
    expect(done).toEqual([1, 2, 3, 4])
    await vi.advanceTimersByTimeAsync(1000)
    await Promise.all(all)
    expect(done).toEqual([1, 2, 3, 4, 5])
  })

  it('lets nobody past those who wait for the next second', async () => {
    let nowMs = 0
    const gate = new RequestGate({ ...limits, maxPerSecondPerHost: 1 }, () => nowMs)
    const started: string[] = []
    const ask = (name: string) =>
      gate.run('a', 'plc', signal, () => {
        started.push(name)
        return Promise.resolve()
      })
    const all = [ask('first'), ask('second')]
    // The second is over, and the timer has not fired yet.
    nowMs = 1000
    all.push(ask('third'))
    await vi.advanceTimersByTimeAsync(1000)
    expect(started).toEqual(['first', 'second'])
    nowMs = 2000
    await vi.advanceTimersByTimeAsync(1000)
    await Promise.all(all)
    expect(started).toEqual(['first', 'second', 'third'])
  })

  it('lets a waiting caller give up, and refuses when too many wait', async () => {
    const gate = new RequestGate({ ...limits, maxWaiting: 1 })
    const { run, started, finish } = worker(gate)
    const running = [run('a', 'a1'), run('a', 'a2')]
    const abort = new AbortController()
    const waiting = run('a', 'a3', abort.signal)
    const refused: unknown = await run('a', 'a4').catch((error: unknown) => error)
    expect(refused).toBeInstanceOf(ResolutionFailedError)
    expect(refused).toMatchObject({ retryable: true, family: 'CouldNotAsk' })
    abort.abort(new Error('enough'))
    await expect(waiting).rejects.toThrow('enough')
    expect(gate.waiting).toBe(0)
    finish('a1')
    finish('a2')
    await Promise.all(running)
    expect(started).toEqual(['a1', 'a2'])
  })

  it('frees its place when work fails', async () => {
    const gate = new RequestGate({ ...limits, maxConcurrentPerHost: 1 })
    for (let index = 0; index < 20; index++) {
      await expect(
        gate.run('a', 'plc', signal, () => Promise.reject(new Error('no'))),
      ).rejects.toThrow('no')
    }
    await expect(gate.run('a', 'plc', signal, () => Promise.resolve('yes'))).resolves.toBe('yes')
  })
})
