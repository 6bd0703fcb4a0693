import { expect, it } from 'vitest'
import { caseCount, runPortableCases } from './portable/cases.ts'

it('passes the cases that other runtimes are put through', async () => {
  const { passed, failed } = await runPortableCases()
  expect(failed).toEqual([])
  expect(passed).toBe(caseCount)
  expect(passed).toBeGreaterThanOrEqual(11)
})
