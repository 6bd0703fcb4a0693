import { describe, expect, it } from 'vitest'
import * as errors from '../src/errors.ts'
import * as root from '../src/index.ts'

describe('errors', () => {
  const classes = Object.entries(errors)

  it('exports every class from the root', () => {
    expect(classes.length).toBeGreaterThanOrEqual(16)
    for (const [name, value] of classes) expect(root, name).toHaveProperty(name, value)
  })

  it('bounds what it repeats of foreign text', () => {
    const long = 'x'.repeat(100_000)
    for (const error of [
      new errors.InvalidSyntaxError('did', long, 'too long'),
      new errors.UnsupportedDidMethodError(long),
      new errors.ForbiddenAddressError(long, 'no'),
      new errors.ResponseTooLargeError(long, 1),
      new errors.PlcRequestFailedError(400, long),
      new errors.HandleAmbiguousError('a.com', [long, `${long}2`]),
      new errors.ResolutionFailedError(long, 'dns', 'no', { retryable: true }),
    ]) {
      expect(error.message.length).toBeLessThan(1000)
      expect(JSON.stringify(error).length).toBeLessThan(2000)
    }
  })

  it('has a name, a code, a family and a cause', () => {
    const cause = new Error('why')
    const error = new errors.DidNotFoundError('did:plc:x', 'plc', { cause })
    expect(error).toMatchObject({
      name: 'DidNotFoundError',
      code: 'DidNotFound',
      family: 'NotFound',
      step: 'plc',
      cause,
    })
    expect(new errors.PlcRequestFailedError(undefined, 'x')).toMatchObject({
      retryable: true,
      family: 'CouldNotAsk',
    })
    expect(new errors.PlcRequestFailedError(400, 'x')).toMatchObject({
      retryable: false,
      family: 'Invalid',
      retryAfterMs: undefined,
    })
    expect(new errors.PlcRequestFailedError(503, 'x', { retryAfterMs: 5, cause })).toMatchObject({
      retryAfterMs: 5,
      cause,
    })
    expect('cause' in new errors.PlcRequestFailedError(503, 'x')).toBe(false)
  })
})
