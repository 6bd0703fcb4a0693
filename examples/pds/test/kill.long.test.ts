import { expect, it } from 'vitest'
import { checkKills, setScene } from './support/kill.ts'

const KILLS = 200

it(`loses nothing it acknowledged over ${KILLS} kills`, async () => {
  expect.hasAssertions()
  await using scene = await setScene()
  await checkKills(scene, KILLS, 3)
})
