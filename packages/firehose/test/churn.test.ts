import { expect, it } from 'vitest'
import { churn } from './support/churn.ts'

// An hour of it is in churn.long.test.ts.
it('minutes of churn end with what every repository holds', { timeout: 60_000 }, async () => {
  const ledger = await churn({ seed: 1, minutes: 12, eventsPerSecond: 1 })
  expect(ledger.events).toBeGreaterThan(600)
  expect(ledger.lies).toBeGreaterThan(5)
  expect(ledger.failovers).toBeGreaterThan(0)
  expect(ledger.fetched).toBeGreaterThan(40)
})
