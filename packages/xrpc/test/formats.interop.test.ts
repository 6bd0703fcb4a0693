import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { isNsid } from '../src/adapters/vendor/render.ts'
import { createCatalog } from '../src/catalog.ts'
import type { LexiconDocument } from '../src/lexicon-document.ts'
import { examples } from './documents.ts'

const fixtures =
  process.env['SKYWRIGHT_FIXTURES'] ?? join(import.meta.dirname, '../../../../shared/fixtures')
const folder = join(fixtures, 'interop/syntax')

/** Vectors where the validator keeps to another reading, and why. */
const EXPECTED: Readonly<Record<string, readonly string[]>> = {
  // No link of the protocol has another base than base32.
  'cid valid': [
    'mBcDxtdWx0aWhhc2g+',
    'z7x3CtScH765HvShXT',
    '7134036155352661643226414134664076',
    'f017012202c5f688262e0ece8569aa6f94d60aad55ca8d9d83734e4a7430d0cff6588ec2b',
  ],
  // Well-formed by BCP 47, which knows no case and has room for languages of four letters.
  'language invalid': ['jaja', 'JA'],
  // The library wants a scheme of letters.
  'uri valid': ['content-type:text/plan', 'microsoft.windows.camera:thing'],
}

const files: readonly [string, string, boolean][] = [
  ['at-identifier', 'atidentifier_syntax_valid', true],
  ['at-identifier', 'atidentifier_syntax_invalid', false],
  ['at-uri', 'aturi_syntax_valid', true],
  ['at-uri', 'aturi_syntax_invalid', false],
  ['cid', 'cid_syntax_valid', true],
  ['cid', 'cid_syntax_invalid', false],
  ['datetime', 'datetime_syntax_valid', true],
  ['datetime', 'datetime_syntax_invalid', false],
  ['datetime', 'datetime_parse_invalid', false],
  ['did', 'did_syntax_valid', true],
  ['did', 'did_syntax_invalid', false],
  ['handle', 'handle_syntax_valid', true],
  ['handle', 'handle_syntax_invalid', false],
  ['language', 'language_syntax_valid', true],
  ['language', 'language_syntax_invalid', false],
  ['nsid', 'nsid_syntax_valid', true],
  ['nsid', 'nsid_syntax_invalid', false],
  ['record-key', 'recordkey_syntax_valid', true],
  ['record-key', 'recordkey_syntax_invalid', false],
  ['tid', 'tid_syntax_valid', true],
  ['tid', 'tid_syntax_invalid', false],
  ['uri', 'uri_syntax_valid', true],
  ['uri', 'uri_syntax_invalid', false],
]

function readVectors(file: string): readonly string[] {
  return readFileSync(join(folder, `${file}.txt`), 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
}

describe.skipIf(!existsSync(folder))('string formats', () => {
  it.each(files)('%s: %s', (format, file, valid) => {
    const document: LexiconDocument = {
      lexicon: 1,
      id: 'com.example.format',
      defs: {
        main: {
          type: 'record',
          record: {
            type: 'object',
            properties: {
              value: { type: 'string', format },
              list: { type: 'array', items: { type: 'string', format } },
              named: { type: 'ref', ref: '#text' },
              names: { type: 'array', items: { type: 'ref', ref: '#text' } },
            },
          },
        },
        text: { type: 'string', format },
      },
    }
    const catalog = createCatalog(document)
    const accepts = (value: object): boolean => {
      try {
        catalog.validateRecord('com.example.format', { $type: 'com.example.format', ...value })
        return true
      } catch {
        return false
      }
    }
    const vectors = readVectors(file)
    expect(vectors.length).toBeGreaterThan(3)
    const wrong = vectors.filter((value) => accepts({ value }) !== valid)
    expect(wrong).toEqual(EXPECTED[`${format} ${valid ? 'valid' : 'invalid'}`] ?? [])
    expect(vectors.filter((value) => accepts({ list: [value] }) !== valid)).toEqual(wrong)
    expect(vectors.filter((value) => accepts({ named: value }) !== valid)).toEqual(wrong)
    expect(vectors.filter((value) => accepts({ names: [value] }) !== valid)).toEqual(wrong)
  })

  it('the names that are looked up and made files of are NSIDs too', () => {
    const [valid, invalid] = [readVectors('nsid_syntax_valid'), readVectors('nsid_syntax_invalid')]
    expect(Math.min(valid.length, invalid.length)).toBeGreaterThan(20)
    expect(valid.filter((text) => !isNsid(text))).toEqual([])
    // What DNS and file systems would take as the same name is not taken at all.
    expect([...invalid, 'a-.b.c', 'A.b.c', 'a.B.c'].filter((text) => isNsid(text))).toEqual([])
  })

  it('takes what others take when told to be lenient', () => {
    const post = { $type: 'com.example.thing', createdAt: '1985-04-12T23:20:50.123' }
    expect(() => examples.validateRecord('com.example.thing', post)).toThrow('datetime')
    const read = examples.validateRecord('com.example.thing', post, { lenient: true })
    expect(read).toMatchObject(post)
  })
})
