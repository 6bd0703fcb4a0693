import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { formatLabelersHeader, parseLabelersHeader } from '../src/labelers.ts'

describe('parseLabelersHeader', () => {
  it('keeps absent, empty and malformed apart', () => {
    expect(parseLabelersHeader(null)).toEqual({ kind: 'absent' })
    expect(parseLabelersHeader('')).toEqual({ kind: 'present', labelers: [] })
    expect(parseLabelersHeader('x')).toMatchObject({ kind: 'malformed' })
  })

  it.each<[string, [string, boolean][]]>([
    ['did:plc:a', [['did:plc:a', false]]],
    ['did:plc:a;redact', [['did:plc:a', true]]],
    ['did:plc:a;redact=?1', [['did:plc:a', true]]],
    ['did:plc:a;redact=?0', [['did:plc:a', false]]],
    [
      'did:plc:a; redact , did:web:b.example',
      [
        ['did:plc:a', true],
        ['did:web:b.example', false],
      ],
    ],
    ['did:plc:a;other=1;redact;more="x, y"', [['did:plc:a', true]]],
    ['did:plc:a,did:plc:a;redact', [['did:plc:a', true]]],
    ['  did:web:localhost%3A3000  ', [['did:web:localhost%3A3000', false]]],
  ])('reads %j', (header, expected) => {
    expect(parseLabelersHeader(header)).toEqual({
      kind: 'present',
      labelers: expected.map(([did, redact]) => ({ did, redact })),
    })
  })

  it.each([
    'did:plc:a,',
    ',did:plc:a',
    'did:plc:a did:plc:b',
    'did:plc:a;;redact',
    'did:plc:a;Redact',
    '"did:plc:a"',
    'did:plc:',
    'did:plc:a\n',
    'a'.repeat(20_000),
    Array.from({ length: 101 }, (_, i) => `did:plc:a${i}`).join(),
  ])('says that %j is malformed', (header) => {
    expect(parseLabelersHeader(header)).toMatchObject({ kind: 'malformed' })
  })

  it('reads back what formatLabelersHeader wrote', () => {
    const labeler = fc.record({
      did: fc.stringMatching(/^did:plc:[a-z2-7]{24}$/),
      redact: fc.boolean(),
    })
    fc.assert(
      fc.property(
        fc.uniqueArray(labeler, { selector: ({ did }) => did, maxLength: 20 }),
        (labelers) => {
          const parsed = parseLabelersHeader(formatLabelersHeader(labelers))
          expect(parsed).toEqual({ kind: 'present', labelers })
        },
      ),
    )
  })
})
