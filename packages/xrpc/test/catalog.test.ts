import { jsonToLex } from '@atproto/lexicon'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createCatalog } from '../src/catalog.ts'
import { fromJson, toJson } from '../src/data-model.ts'
import { InvalidDataError, InvalidLexiconError, ValidationError } from '../src/errors.ts'
import type { LexiconDocument } from '../src/lexicon-document.ts'
import { atproto } from '../src/lexicons.ts'
import { examples } from './documents.ts'

const LINK = 'bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku'
const BLOB = { $type: 'blob', ref: { $link: LINK }, mimeType: 'image/png', size: 3 }
const THING = { $type: 'com.example.thing', createdAt: '2026-11-21T00:00:00.000Z' }
const check = (record: unknown): Record<string, unknown> =>
  examples.validateRecord('com.example.thing' as string, record)

describe('validateRecord', () => {
  it('fills defaults, keeps unknown fields, and gives plain data-model values', () => {
    const record = check({ ...THING, picture: BLOB, extra: { a: [1] } })
    expect(record).toMatchObject({ kind: 'plain', extra: { a: [1] } })
    const picture = record['picture'] as { ref: object }
    expect(Object.getPrototypeOf(picture)).toBe(Object.prototype)
    expect(toJson(picture)).toEqual(BLOB)
    expect(check(record)).toEqual(record)
  })

  it('does not write to what it is given', () => {
    const record = { ...THING, picture: BLOB }
    const before = structuredClone(record)
    check(record)
    expect(record).toEqual(before)
  })

  it.each<[string, object]>([
    [
      'an open union with a known member',
      { shape: { $type: 'com.example.thing#circle', radius: 1 } },
    ],
    ['an open union with an unknown member', { shape: { $type: 'com.example.other', x: 1 } }],
    ['a closed union with its member', { fixed: { $type: 'com.example.thing#circle', radius: 1 } }],
  ])('accepts %s', (_what, fields) => {
    check({ ...THING, ...fields })
  })

  it.each<[string, object]>([
    ['another $type', { $type: 'com.example.other' }],
    ['a $type with #main', { $type: 'com.example.thing#main' }],
    ['a missing field', { createdAt: undefined }],
    ['a bad datetime', { createdAt: '2026-11-21 00:00:00' }],
    ['an open union without $type', { shape: { radius: 1 } }],
    ['a known member that is wrong', { shape: { $type: 'com.example.thing#circle' } }],
    [
      'a closed union with another member',
      { fixed: { $type: 'com.example.thing#square', side: 1 } },
    ],
    ['text for a blob', { picture: 'x' }],
    ['a blob of before 2023', { picture: { cid: LINK, mimeType: 'image/png' } }],
  ])('refuses %s', (_what, fields) => {
    expect(() => check({ ...THING, ...fields })).toThrow(ValidationError)
  })

  it.each<[string, unknown]>([
    ['a float anywhere', { ...THING, extra: { a: [1.5] } }],
    ['a malformed blob anywhere', { ...THING, extra: { ...BLOB, size: -1 } }],
    [
      'a blob that is no raw bytes',
      { ...THING, extra: { ...BLOB, ref: { $link: LINK.replace('bafkrei', 'bafyrei') } } },
    ],
  ])('refuses %s as no data-model value', (_what, record) => {
    expect(() => check(record)).toThrow(InvalidDataError)
  })

  it('reads old blobs when told to', () => {
    const picture = { cid: LINK, mimeType: 'image/png' }
    const record = examples.validateRecord(
      'com.example.thing' as string,
      { ...THING, picture },
      {
        legacyBlobs: true,
      },
    )
    expect(record['picture']).toEqual(picture)
  })

  it('says when it has no such lexicon', () => {
    expect(examples.hasRecord('com.example.nope')).toBe(false)
    expect(() => examples.validateRecord('com.example.nope' as string, {})).toThrow(
      InvalidLexiconError,
    )
    expect(() => examples.validateRecord('com.example.getThing' as string, {})).toThrow(
      InvalidLexiconError,
    )
  })
})

function withProperty(schema: object, name = 'value'): object {
  return {
    main: { type: 'object', properties: { [name]: schema } },
    token: { type: 'token' },
    text: { type: 'string' },
  }
}

describe('createCatalog', () => {
  const bad: [string, object][] = [
    ['an unknown type', { main: { type: 'galaxy' } }],
    [
      'a record that is not main',
      { other: { type: 'record', key: 'tid', record: { type: 'object', properties: {} } } },
    ],
    [
      'a required field that is not defined',
      { main: { type: 'object', required: ['x'], properties: {} } },
    ],
  ]
  const broken: [string, object][] = [
    ['nothing', {}],
    ['a definition that is unknown', { other: { type: 'unknown' } }],
    ['a definition that is params', { other: { type: 'params', properties: {} } }],
    ['a definition that is a reference', { main: { type: 'ref', ref: '#other' } }],
    ['a definition that is a union', { other: { type: 'union', refs: [] } }],
    ['a reference to a token', withProperty({ type: 'ref', ref: '#token' })],
    [
      'a list of references to a token',
      withProperty({ type: 'array', items: { type: 'ref', ref: 'com.example.bad#token' } }),
    ],
    ['a union with text', withProperty({ type: 'union', refs: ['#text'] })],
    [
      'a union with a method elsewhere',
      withProperty({ type: 'union', refs: ['com.example.ping'] }),
    ],
    ['a closed union of nothing', withProperty({ type: 'union', refs: [], closed: true })],
    [
      'messages that are no union',
      {
        main: { type: 'subscription', message: { schema: { type: 'ref', ref: '#event' } } },
        event: { type: 'object', properties: {} },
      },
    ],
    [
      'an input that is a reference to a token',
      {
        main: {
          type: 'procedure',
          input: { encoding: 'application/json', schema: { type: 'ref', ref: '#token' } },
        },
        token: { type: 'token' },
      },
    ],
  ]
  it.each(broken)('refuses %s', (_what, defs) => {
    const document = { lexicon: 1, id: 'com.example.bad', defs } as LexiconDocument
    expect(() => examples.with(document)).toThrow(InvalidLexiconError)
  })

  it.each<[string, object]>([
    ['an open union of nothing', withProperty({ type: 'union', refs: [] })],
    ['a union with a record', withProperty({ type: 'union', refs: ['com.example.thing'] })],
    ['references in a circle', withProperty({ type: 'ref', ref: '#main' })],
    ['a reference to what is not there', withProperty({ type: 'ref', ref: 'com.example.none' })],
    ['properties called like keywords', withProperty({ type: 'string' }, 'refs')],
  ])('takes %s', (_what, defs) => {
    const document = { lexicon: 1, id: 'com.example.good', defs } as LexiconDocument
    expect(examples.with(document).has('com.example.good')).toBe(true)
  })

  it('blames the lexicon, not the value, for a reference to what is not there', () => {
    const schema = { type: 'object', properties: { a: { type: 'ref', ref: 'com.example.none' } } }
    const catalog = createCatalog(
      { lexicon: 1, id: 'com.example.record', defs: { main: { type: 'record', record: schema } } },
      {
        lexicon: 1,
        id: 'com.example.procedure',
        defs: {
          main: { type: 'procedure', input: { encoding: 'application/json', schema } },
        },
      },
    )
    const record = { $type: 'com.example.record', a: {} }
    expect(() => catalog.validateRecord('com.example.record', record)).toThrow(InvalidLexiconError)
    const method = catalog.method('com.example.procedure')
    expect(() => method?.readInput({ a: {} })).toThrow(InvalidLexiconError)
  })

  it.each(bad)('refuses %s', (_what, defs) => {
    const document = {
      lexicon: 1 as const,
      id: 'com.example.bad',
      defs: defs as Record<string, object>,
    }
    expect(() => createCatalog(document)).toThrow(InvalidLexiconError)
  })

  it('refuses the same NSID twice, and leaves documents alone', () => {
    const document = {
      lexicon: 1,
      id: 'com.example.a',
      defs: {
        main: { type: 'object', properties: { b: { type: 'ref', ref: '#c' } } },
        c: { type: 'string' },
      },
    } as const
    const before = JSON.stringify(document)
    const catalog = createCatalog(document)
    expect(JSON.stringify(document)).toBe(before)
    expect(() => catalog.with(document)).toThrow('already present')
  })
})

describe('atproto', () => {
  it('has every document, and each one loads', () => {
    expect(atproto.ids).toHaveLength(251)
    const kinds = new Map<string, number>()
    for (const id of atproto.ids) {
      const type = atproto.method(id)?.type ?? (atproto.hasRecord(id) ? 'record' : 'other')
      kinds.set(type, (kinds.get(type) ?? 0) + 1)
      expect(atproto.get(id)?.id).toBe(id)
    }
    expect(kinds.get('query')).toBeGreaterThan(90)
    expect(kinds.get('procedure')).toBeGreaterThan(70)
    expect(kinds.get('subscription')).toBe(2)
    expect(kinds.get('record')).toBeGreaterThan(15)
  })

  it('validates a post as anybody would write it', () => {
    const post = { $type: 'app.bsky.feed.post', text: 'hi', createdAt: '2026-11-21T00:00:00Z' }
    const record = atproto.validateRecord('app.bsky.feed.post', post)
    expect(record.text).toBe('hi')
    expect(() =>
      atproto.validateRecord('app.bsky.feed.post', { ...post, text: 'a'.repeat(301) }),
    ).toThrow(ValidationError)
  })
})

describe('fromJson and toJson', () => {
  const leaf = fc.oneof(
    fc.string(),
    fc.maxSafeInteger(),
    fc.boolean(),
    fc.constant(null),
    fc.constant({ $link: LINK }),
    fc.uint8Array({ maxLength: 20 }).map((bytes) => ({
      $bytes: Buffer.from(bytes).toString('base64').replaceAll('=', ''),
    })),
  )
  const key = fc.oneof(
    fc.string().filter((name) => !name.startsWith('$')),
    fc.constantFrom('__proto__', 'constructor', 'toString'),
  )
  const { tree } = fc.letrec((tie) => ({
    tree: fc.oneof(
      { depthSize: 'small' },
      leaf,
      fc.array(tie('tree'), { maxLength: 4 }),
      fc
        .array(fc.tuple(key, tie('tree')), { maxLength: 4 })
        .map((entries) => Object.fromEntries(entries) as unknown),
    ),
  }))

  it('undo each other', () => {
    fc.assert(
      fc.property(tree, (json) => {
        expect(JSON.stringify(toJson(fromJson(json)))).toBe(JSON.stringify(json))
      }),
    )
  })

  it('agree with @atproto/lexicon on links and bytes', () => {
    fc.assert(
      fc.property(tree, (json) => {
        fc.pre(!JSON.stringify(json).includes('__proto__'))
        expect(fromJson(json)).toEqual(jsonToLex(json))
      }),
    )
  })

  it('throws nothing but its own error, whatever it is given', () => {
    fc.assert(
      fc.property(fc.anything(), (value) => {
        try {
          fromJson(value)
        } catch (error) {
          expect(error).toBeInstanceOf(InvalidDataError)
        }
      }),
    )
  })

  it('gives a value back as it is when nothing changes', () => {
    const value = { a: [1, { b: 'x' }] }
    expect(fromJson(value)).toBe(value)
    expect(toJson(value)).toBe(value)
  })
})
