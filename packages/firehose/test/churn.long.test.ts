import { expect, it } from 'vitest'
import { churn } from './support/churn.ts'

it('an hour of churn ends with what every repository holds', async () => {
  const ledger = await churn({ seed: 2, minutes: 60, eventsPerSecond: 10 })
  process.stdout.write(`${JSON.stringify(ledger)}\n`)
  expect(ledger.events).toBeGreaterThan(30_000)
  expect(ledger.lies).toBeGreaterThan(500)
  // Some lies come while their account is away, or being fetched again: then they are old before they are looked at.
  expect(ledger.liesNamed).toBeGreaterThan(ledger.lies / 2)
  for (const count of [ledger.lost, ledger.twice, ledger.swapped])
    expect(count).toBeGreaterThan(100)
  expect(ledger.rotations).toBeGreaterThan(30)
  expect(ledger.moves).toBeGreaterThan(30)
  expect(ledger.deactivations).toBeGreaterThan(30)
  expect(ledger.deletions).toBeGreaterThan(5)
  expect(ledger.newcomers).toBeGreaterThan(30)
  expect(ledger.outages).toBeGreaterThan(10)
  expect(ledger.cuts).toBeGreaterThan(15)
  expect(ledger.failovers).toBeGreaterThan(5)
  expect(ledger.restarts).toBeGreaterThan(7)
  expect(ledger.handlerFailures).toBeGreaterThan(20)
  expect(ledger.staleCopies).toBeGreaterThan(20)
  expect(ledger.fetched).toBeGreaterThan(200)
  expect(ledger.fetchedDeletes).toBeGreaterThan(20)
})
