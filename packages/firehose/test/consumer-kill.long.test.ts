import { expect, it } from 'vitest'
import { killFollower, killMirror } from './support/kill-consumer.ts'

const ROUNDS = 500

it(`a consumer killed ${String(ROUNDS)} times handles every event, in the order of each account`, async () => {
  expect.hasAssertions()
  await killFollower(ROUNDS)
})

it(`a mirror killed ${String(ROUNDS)} times in backfill, resync and stream ends with every repository`, async () => {
  expect.hasAssertions()
  await killMirror(ROUNDS)
})
