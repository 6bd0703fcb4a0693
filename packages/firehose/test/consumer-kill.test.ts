import { expect, it } from 'vitest'
import { killFollower, killMirror } from './support/kill-consumer.ts'

// Hundreds of kills are in consumer-kill.long.test.ts.
it('a consumer killed again and again handles every event', { timeout: 60_000 }, async () => {
  expect.hasAssertions()
  await killFollower(3)
})

it('a mirror killed again and again ends with every repository', { timeout: 60_000 }, async () => {
  expect.hasAssertions()
  await killMirror(4)
})
