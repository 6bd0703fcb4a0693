import { expect } from 'vitest'
import { MirrorConsumer } from './churn-consumer.ts'
import { SECOND_MS, World, type ChurnLedger, type ChurnOptions } from './churn-world.ts'

/** A network, two relays that lose, repeat, swap and invent, and a consumer that must end with every repository. */
export async function churn(options: ChurnOptions): Promise<ChurnLedger> {
  const world = await World.create(options)
  const consumer = new MirrorConsumer(world)
  consumer.start()
  for (let second = 1; second <= options.minutes * 60; second++) {
    await world.second(second)
    if (second % 420 === 0) await consumer.restart()
  }
  await world.calm()
  for (let minute = 0; minute < 240; minute++) {
    if ((await consumer.differences()).length === 0) break
    await world.clock.advance(60 * SECOND_MS)
  }
  await consumer.stop()
  expect(await consumer.differences()).toEqual([])
  const { unexpected } = consumer
  expect(unexpected).toEqual([])
  return world.ledger
}
