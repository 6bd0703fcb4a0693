import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import {
  checkLex,
  cidForCbor,
  cidForRaw,
  collectBlobs,
  createCid,
  decodeCbor,
  encodeCbor,
  InvalidDataError,
  isBlob,
  jsonToLex,
  jsonToRecord,
  lexToJson,
  parseBlobRef,
} from '../src/index.ts'

const link = cidForCbor(encodeCbor({ a: 1 }))
const blobRef = cidForRaw(new Uint8Array(3))
const blob = { $type: 'blob', ref: blobRef, mimeType: 'image/png', size: 3 }

const scalar = fc.oneof(
  fc.constant(null),
  fc.boolean(),
  fc.maxSafeInteger().map((n) => (n === 0 ? 0 : n)),
  fc.string({ unit: 'binary' }),
  fc.uint8Array(),
  fc.uint8Array({ minLength: 32, maxLength: 32 }).map((digest) => createCid(0x71, digest)),
)
const value = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    scalar,
    fc.array(tie('value'), { maxLength: 5 }),
    fc.dictionary(
      fc.string({ unit: 'binary', minLength: 1 }).filter((key) => !key.startsWith('$')),
      tie('value'),
      { maxKeys: 5, noNullPrototype: true },
    ),
  ),
})).value

describe('the JSON mapping', () => {
  it('goes there and back without loss', () => {
    fc.assert(
      fc.property(value, (input) => {
        const json = lexToJson(input)
        const back = jsonToLex(JSON.parse(JSON.stringify(json)))
        expect(Buffer.compare(encodeCbor(back), encodeCbor(input))).toBe(0)
      }),
      { numRuns: 500 },
    )
  })

  it('writes links, bytes and blobs as the protocol does', () => {
    expect(lexToJson({ link, bytes: Uint8Array.of(1, 2), blob })).toEqual({
      link: { $link: link.toString() },
      bytes: { $bytes: 'AQI' },
      blob: { $type: 'blob', ref: { $link: blobRef.toString() }, mimeType: 'image/png', size: 3 },
    })
  })

  it('takes base64 with and without padding', () => {
    for (const $bytes of ['AQI', 'AQI=']) expect(jsonToLex({ $bytes })).toEqual(Uint8Array.of(1, 2))
    expect(jsonToLex({ $bytes: '' })).toEqual(new Uint8Array(0))
  })

  it.each<[string, unknown]>([
    ['a float', 1.5],
    ['an integer beyond 53 bits', 2 ** 53],
    ['undefined', { a: undefined }],
    ['a function', () => {}],
    ['a date', new Date(0)],
    ['an empty key', { '': 1 }],
    ['a lone surrogate', '\ud800'],
    ['a link with other keys', { $link: link.toString(), a: 1 }],
    ['a link that is a number', { $link: 1 }],
    ['a link that is no cid', { $link: 'bafy' }],
    ['a link of version 0', { $link: 'QmbWqxBEKC3P8tqsKc98xmWNzrzDtRLMiMPL8wBuTGsMnR' }],
    ['bytes with other keys', { $bytes: '', a: 1 }],
    ['bytes that are no text', { $bytes: [1] }],
    ['url-safe base64', { $bytes: '-_8' }],
    ['base64 with a stray character', { $bytes: 'AQ I' }],
    ['base64 with padding in the middle', { $bytes: 'A=QI' }],
    ['base64 padded wrongly', { $bytes: 'AQI==' }],
    ['base64 of one character', { $bytes: 'A' }],
    ['a type that is null', { $type: null }],
    ['an empty type', { $type: '' }],
    ['a blob without ref', { $type: 'blob', mimeType: 'a/b', size: 1 }],
    [
      'a blob with a cbor ref',
      { $type: 'blob', ref: { $link: link.toString() }, mimeType: 'a/b', size: 1 },
    ],
    [
      'a blob without type',
      { $type: 'blob', ref: { $link: blobRef.toString() }, mimeType: '', size: 1 },
    ],
    [
      'a blob of negative size',
      { $type: 'blob', ref: { $link: blobRef.toString() }, mimeType: 'a/b', size: -1 },
    ],
    ['a bad blob far inside', { a: [{ b: { $type: 'blob' } }] }],
    ['nesting of 33', Array.from({ length: 33 }).reduce((inner) => [inner], 0)],
  ])('refuses %s', (_what, json) => {
    expect(() => jsonToLex(json)).toThrow(InvalidDataError)
    expect(() => jsonToRecord({ inside: json })).toThrow(InvalidDataError)
  })

  it.each<[string, unknown]>([
    ['a list', []],
    ['a link', { $link: link.toString() }],
    ['bytes', { $bytes: '' }],
    ['null', null],
  ])('takes no %s for a record', (_what, json) => {
    expect(() => jsonToRecord(json)).toThrow(InvalidDataError)
  })

  it('keeps __proto__ as a plain key, both ways', () => {
    const json: unknown = JSON.parse('{"__proto__": {"a": 1}, "b": 2}')
    const lex = jsonToLex(json)
    expect(Object.keys(lex as object)).toEqual(['__proto__', 'b'])
    expect(JSON.stringify(lexToJson(decodeCbor(encodeCbor(lex))))).toBe(
      '{"b":2,"__proto__":{"a":1}}',
    )
    expect(({} as { a?: number }).a).toBe(undefined)
  })

  it('takes an empty blob', () => {
    expect(isBlob({ ...blob, size: 0 })).toBe(true)
    checkLex({ ...blob, size: 0 })
  })

  it('refuses to write keys that mean something else in JSON', () => {
    expect(() => lexToJson({ $link: 'x' })).toThrow(InvalidDataError)
    expect(() => lexToJson({ $bytes: 'x' })).toThrow(InvalidDataError)
  })
})

describe('parseBlobRef', () => {
  it('reads blobs of today and of old, and nothing else', () => {
    expect(parseBlobRef(blob)).toEqual({ ref: blobRef, mimeType: 'image/png', size: 3 })
    const old = { cid: blobRef.toString(), mimeType: 'image/png' }
    const parsed = parseBlobRef(old)
    expect([parsed?.ref.toString(), parsed?.mimeType, parsed?.size]).toEqual([
      old.cid,
      'image/png',
      undefined,
    ])
    for (const value of [
      null,
      1,
      {},
      { ...old, $type: 'blob' },
      { ...old, cid: 'x' },
      { ...old, mimeType: '' },
      { ...blob, size: -1 },
    ]) {
      expect(parseBlobRef(value)).toBe(undefined)
    }
  })
})

describe('collectBlobs', () => {
  it('finds every blob once, at any depth', () => {
    const other = { ...blob, ref: cidForRaw(new Uint8Array(4)) }
    const found = collectBlobs({ a: blob, b: [{ c: other }, blob], link, bytes: new Uint8Array(9) })
    expect(found.map(String)).toEqual([blobRef.toString(), other.ref.toString()])
    expect(() => collectBlobs({ a: { $type: 'blob' } })).toThrow(InvalidDataError)
  })
})
