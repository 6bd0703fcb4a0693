import { describe, expect, it } from 'vitest'

import {
  cidForCbor,
  decodeCbor,
  encodeCbor,
  InvalidDataError,
  jsonToLex,
  jsonToRecord,
  lexToJson,
} from '../src/index.ts'
import { hasFixtures, readJsonFixture } from './fixtures.ts'

interface Vector {
  readonly note?: string
  readonly json: unknown
}

interface EncodedVector extends Vector {
  readonly cbor_base64: string
  readonly cid: string
}

function load<T>(name: string): readonly T[] {
  return hasFixtures ? (readJsonFixture(`interop/data-model/${name}.json`) as T[]) : []
}

describe.skipIf(!hasFixtures)('the shared data-model vectors', () => {
  const encoded = load<EncodedVector>('data-model-fixtures')
  const valid = load<Vector>('data-model-valid')
  const invalid = load<Vector>('data-model-invalid')

  it('are 3 encodings, 5 valid and 12 invalid values', () => {
    expect([encoded.length, valid.length, invalid.length]).toEqual([3, 5, 12])
  })

  it.each(encoded)('gives the bytes and CID of $cid', ({ json, cbor_base64: base64, cid }) => {
    const bytes = encodeCbor(jsonToLex(json))
    expect(Buffer.from(bytes).toString('base64').replace(/=+$/, '')).toBe(base64)
    expect(cidForCbor(bytes).toString()).toBe(cid)
    expect(lexToJson(decodeCbor(bytes))).toEqual(json)
  })

  it.each(valid)('takes: $note', ({ json }) => {
    expect(lexToJson(decodeCbor(encodeCbor(jsonToRecord(json))))).toEqual(json)
  })

  it.each(invalid)('refuses: $note', ({ json }) => {
    expect(() => jsonToRecord(json)).toThrow(InvalidDataError)
  })
})
