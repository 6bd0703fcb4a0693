import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { mutants } from './mutants/mutants.ts'

const root: string = join(import.meta.dirname, '..')

describe('the mutants', () => {
  it('are many', () => {
    expect(mutants.length).toBeGreaterThanOrEqual(100)
    const texts = mutants.map(({ file, find, replace }) => JSON.stringify([file, find, replace]))
    expect(new Set(texts).size).toBe(texts.length)
  })

  it.each(mutants)('fit one place: $file $find', ({ file, find, replace, tests }) => {
    const source = readFileSync(join(root, file), 'utf8')
    expect(source.split(find).length - 1).toBe(1)
    expect(replace).not.toBe(find)
    expect(tests.length).toBeGreaterThan(0)
    for (const test of tests) expect([test, existsSync(join(root, test))]).toEqual([test, true])
  })
})
