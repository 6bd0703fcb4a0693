import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import * as errors from '../src/errors.ts'
import * as root from '../src/index.ts'

const source = join(import.meta.dirname, '../src')

/** Every module of this package reachable from an entry, and every foreign import on the way. */
function reach(entry: string): { files: Set<string>; foreign: Set<string> } {
  const files = new Set<string>()
  const foreign = new Set<string>()
  const pending = [join(source, entry)]
  for (let file = pending.pop(); file !== undefined; file = pending.pop()) {
    if (files.has(file)) continue
    files.add(file)
    const text = readFileSync(file, 'utf8')
    for (const [, type, specifier = ''] of text.matchAll(
      /^(?:import|export)( type)? (?:[^'"]*? from )?'([^']+)'/gms,
    )) {
      if (type !== undefined) continue
      if (specifier.startsWith('.')) pending.push(join(dirname(file), specifier))
      else foreign.add(specifier)
    }
  }
  return { files, foreign }
}

describe('entry points', () => {
  it.each<[string, string[]]>([
    [
      'index.ts',
      [
        '@atproto/lexicon',
        '@skywright/repo/cbor',
        'uint8arrays/concat',
        'uint8arrays/from-string',
        'uint8arrays/to-string',
      ],
    ],
    ['frame.ts', ['@skywright/repo/cbor']],
    ['lexicons.ts', ['@atproto/lexicon', 'uint8arrays/from-string', 'uint8arrays/to-string']],
  ])('%s imports nothing but %j', (entry, expected) => {
    const { files, foreign } = reach(entry)
    expect(files.size).toBeGreaterThan(1)
    expect([...foreign].toSorted()).toEqual(expected)
  })

  it('index.ts exports every error', () => {
    const names = Object.keys(errors)
    expect(names.length).toBeGreaterThan(12)
    expect(Object.keys(root)).toEqual(expect.arrayContaining(names))
  })
})
