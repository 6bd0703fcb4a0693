import { expect, it } from 'vitest'
import { HostSlots } from '../src/resync/host-slots.ts'
import { createFakeClock } from '../src/testing/index.ts'

const setup = () => {
  const clock = createFakeClock()
  const stop = new AbortController()
  return { clock, slots: new HostSlots(2, clock, stop.signal) }
}

it('a turn that its owner does not take goes to the next', () => {
  const { slots } = setup()
  const [one, two] = [slots.take('a'), slots.take('a')]
  expect(slots.take('a')).toBeUndefined()
  expect(slots.take('b')).toBeTypeOf('function')
  const woken: number[] = []
  for (const who of [1, 2, 3]) expect(slots.wait('a', () => woken.push(who))).toBe(true)
  one?.()
  expect(woken).toEqual([1])
  // The first one went home.
  two?.()
  expect(woken).toEqual([1, 2, 3])
  expect(slots.take('a')).toBeTypeOf('function')
})

it('a host that asked for it is left alone, and then asked by all who waited', async () => {
  const { slots, clock } = setup()
  const one = slots.take('a')
  slots.pause('a', 5_000)
  one?.()
  expect(slots.take('a')).toBeUndefined()
  let woken = 0
  for (let i = 0; i < 3; i++) slots.wait('a', () => woken++)
  await clock.advance(4_999)
  expect(woken).toBe(0)
  await clock.advance(1)
  expect(woken).toBe(3)
  expect(slots.take('a')).toBeTypeOf('function')
})

it('only so many wait for one host', () => {
  const { slots } = setup()
  slots.take('a')
  slots.take('a')
  let waiting = 0
  while (slots.wait('a', () => undefined)) waiting++
  expect(waiting).toBe(1_000)
})
