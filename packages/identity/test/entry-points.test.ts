import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const IMPORTS = /^(?:import|export)\s+(type\s+)?(?:[\w*{}\s,]+\s+from\s+)?'([^']+)'/gm
const source = fileURLToPath(new URL('../src', import.meta.url))

/** Every file an entry loads at run time, and the modules outside the package among them. */
function reach(entry: string): { files: Set<string>; outside: Set<string> } {
  const files = new Set<string>()
  const outside = new Set<string>()
  const visit = (file: string): void => {
    if (files.has(file)) return
    files.add(file)
    const code = readFileSync(file, 'utf8')
    for (const [, kind, specifier = ''] of code.matchAll(IMPORTS)) {
      if (kind !== undefined) continue
      if (specifier.startsWith('.')) visit(join(dirname(file), specifier))
      else outside.add(specifier)
    }
  }
  visit(join(source, entry))
  return { files, outside }
}

describe('entry points', () => {
  it.each([
    'index.ts',
    'keys/index.ts',
    'plc/index.ts',
    'plc-directory/index.ts',
    'testing/index.ts',
  ])('%s loads no Node built-in', (entry) => {
    const { files, outside } = reach(entry)
    expect(files.size).toBeGreaterThan(2)
    expect([...outside].filter((name) => name.startsWith('node:'))).toEqual([])
  })

  it('finds the built-ins of the Node entry, so the search works', () => {
    const { outside } = reach('node/index.ts')
    expect([...outside]).toContain('node:sqlite')
  })
})
