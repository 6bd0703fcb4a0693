import { describe, expect, it } from 'vitest'
import { readOptions } from './options.ts'

describe('readOptions', () => {
  it('defaults to a silent network in a temporary folder that stays up', () => {
    expect(readOptions([])).toEqual({ exit: false, network: { logLevel: 'silent' } })
  })
  it('reads every option', () => {
    expect(readOptions(['--exit', '--data', 'here', '--log=info'])).toEqual({
      exit: true,
      network: { logLevel: 'info', dataDirectory: 'here' },
    })
  })
  it.each([['--loud'], ['--log', 'shout'], ['stray']])('refuses %j', (...args) => {
    expect(() => readOptions(args)).toThrow(TypeError)
  })
})
