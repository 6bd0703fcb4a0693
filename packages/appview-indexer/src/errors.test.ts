import { expect, it } from 'vitest'

import * as errors from './errors.ts'
import * as entry from './index.ts'

it('exports every error class from the entry point, with a code of its own', () => {
  const names = Object.keys(errors)
  expect(names.length).toBeGreaterThanOrEqual(9)
  for (const name of names) expect(entry).toHaveProperty(name)
})
