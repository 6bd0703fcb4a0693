import { describe, expect, it } from 'vitest'

import { portableCases } from './portable/cases.ts'

describe('the portable suite, here on Node', () => {
  const cases = portableCases()
  it('has its cases', () => expect(cases.length).toBeGreaterThanOrEqual(81))
  it.each(cases)('$name', ({ run }) => run())
})
