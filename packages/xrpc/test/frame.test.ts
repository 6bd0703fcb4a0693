import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { decodeCbor, encodeCbor } from '@skywright/repo/cbor'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  decodeFrame,
  decodeFrameHeader,
  encodeErrorFrame,
  encodeMessageFrame,
  InvalidFrameError,
} from '../src/frame.ts'

function bytesOf(...items: readonly unknown[]): Uint8Array {
  return Uint8Array.from(items.flatMap((item) => [...encodeCbor(item)]))
}

describe('encodeMessageFrame', () => {
  it('writes header and payload in canonical order', () => {
    const frame = encodeMessageFrame('#info', { name: 'a' })
    expect(Buffer.from(frame).toString('hex')).toBe('a261746523696e666f626f7001a1646e616d656161')
  })

  it('refuses what is no fragment, and bodies with a $type', () => {
    for (const type of ['commit', '', '#', `#${'a'.repeat(600)}`]) {
      expect(() => encodeMessageFrame(type, {})).toThrow(TypeError)
    }
    expect(() => encodeMessageFrame('#a', { $type: '#a' })).toThrow(TypeError)
  })
})

describe('encodeErrorFrame', () => {
  it('writes the name and message', () => {
    expect(decodeFrame(encodeErrorFrame('FutureCursor', 'x'))).toEqual({
      op: -1,
      error: 'FutureCursor',
      message: 'x',
    })
    expect(decodeFrame(encodeErrorFrame('A'))).toEqual({ op: -1, error: 'A', message: undefined })
    expect(() => encodeErrorFrame('')).toThrow(TypeError)
  })
})

describe('decodeFrame', () => {
  it('gives back what was encoded', () => {
    const value = fc.dictionary(
      fc.string().filter((key) => key !== '$type' && key !== ''),
      fc.oneof(fc.string(), fc.maxSafeInteger(), fc.boolean(), fc.uint8Array(), fc.constant(null)),
    )
    fc.assert(
      fc.property(value, fc.stringMatching(/^#[a-z]{1,20}$/), (body, type) => {
        const frame = decodeFrame(encodeMessageFrame(type, body))
        expect(frame).toEqual({ op: 1, type, body: { ...body } })
      }),
    )
  })

  it('surfaces operations and types it does not know', () => {
    expect(decodeFrame(bytesOf({ op: 2, t: '#x' }, [1]))).toEqual({
      op: 'unknown',
      code: 2,
      type: '#x',
      body: [1],
    })
    expect(decodeFrame(encodeMessageFrame('#new', {}))).toMatchObject({ op: 1, type: '#new' })
  })

  it.each<[string, Uint8Array]>([
    ['nothing', new Uint8Array()],
    ['one item', bytesOf({ op: 1, t: '#a' })],
    ['three items', bytesOf({ op: 1, t: '#a' }, {}, {})],
    ['a header that is a list', bytesOf([1], {})],
    ['a header without op', bytesOf({ t: '#a' }, {})],
    ['an op that is text', bytesOf({ op: '1', t: '#a' }, {})],
    ['a message without t', bytesOf({ op: 1 }, {})],
    ['a t that is a number', bytesOf({ op: 1, t: 1 }, {})],
    ['an endless t', bytesOf({ op: 1, t: `#${'a'.repeat(600)}` }, {})],
    ['a header that is endless', bytesOf({ op: 1, t: '#a', x: 'a'.repeat(2000) }, {})],
    ['a payload that is a list', bytesOf({ op: 1, t: '#a' }, [])],
    ['a payload that is bytes', bytesOf({ op: 1, t: '#a' }, new Uint8Array(3))],
    ['an error without a name', bytesOf({ op: -1 }, {})],
    ['an error with an empty name', bytesOf({ op: -1 }, { error: '' })],
    ['an error that is text', bytesOf({ op: -1 }, 'x')],
    ['text', new TextEncoder().encode('{"op":1}')],
    ['a payload cut off', encodeMessageFrame('#a', { a: 'abc' }).slice(0, -1)],
  ])('refuses %s', (_what, bytes) => {
    expect(() => decodeFrame(bytes)).toThrow(InvalidFrameError)
  })

  it('refuses frames over the bound before decoding them', () => {
    const frame = encodeMessageFrame('#a', { b: new Uint8Array(100) })
    expect(() => decodeFrame(frame, { maxBytes: 99 })).toThrow(/too long/)
    expect(() => decodeFrame(new Uint8Array(5_000_001))).toThrow(InvalidFrameError)
  })

  it('throws nothing but its own error on garbage', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          decodeFrame(bytes)
        } catch (error) {
          expect(error).toBeInstanceOf(InvalidFrameError)
        }
      }),
      { numRuns: 2_000 },
    )
  })
})

const fixtures =
  process.env['SKYWRIGHT_FIXTURES'] ?? join(import.meta.dirname, '../../../../shared/fixtures')
const captured = join(fixtures, 'live-firehose/frames.bin')
if (!existsSync(captured)) process.emitWarning(`skipped: no captured frames at ${captured}`)

describe.skipIf(!existsSync(captured))('captured frames', () => {
  it('decode, and encode to the same bytes', () => {
    const bytes = readFileSync(captured)
    const counts = new Map<string, number>()
    for (let at = 0; at < bytes.length;) {
      const length = bytes.readUInt32LE(at)
      const frame = Uint8Array.from(bytes.subarray(at + 4, at + 4 + length))
      at += 4 + length
      const { type = '', bodyOffset } = decodeFrameHeader(frame)
      const decoded = decodeFrame(frame)
      if (decoded.op !== 1) throw new Error('not a message')
      expect(decoded.body).toEqual(decodeCbor(frame.subarray(bodyOffset)))
      expect(encodeMessageFrame(decoded.type, decoded.body)).toEqual(frame)
      counts.set(type, (counts.get(type) ?? 0) + 1)
    }
    expect(Object.fromEntries(counts)).toEqual({ '#commit': 148, '#identity': 1, '#account': 1 })
  })
})
