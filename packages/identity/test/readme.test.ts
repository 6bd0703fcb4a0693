import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import * as root from '../src/index.ts'
import * as keys from '../src/keys/index.ts'
import * as plc from '../src/plc/index.ts'
import * as plcDirectory from '../src/plc-directory/index.ts'
import * as node from '../src/node/index.ts'
import * as testing from '../src/testing/index.ts'

const packageFolder = fileURLToPath(new URL('..', import.meta.url))
const folder = join(packageFolder, '.cache', 'readme')
const readme = readFileSync(join(packageFolder, 'README.md'), 'utf8')
const snippets = [...readme.matchAll(/```ts\n(.*?)```/gs)].map(([, code]) => code ?? '')

/** What each snippet prints, where that is the same every time. */
const output: Readonly<Record<number, string>> = {
  0: 'true\n',
  1: 'did:plc:ewvi7nxzyoun6zhxrhs64oiz atproto.com network\ncache\n',
  3: '1\n',
  4: "[ 'at://alice.example.com' ]\ngenesis does not hash to the DID\n",
  5: 'true\n',
}

describe('the README', () => {
  beforeAll(() => {
    mkdirSync(folder, { recursive: true })
    for (const [index, code] of snippets.entries())
      writeFileSync(join(folder, `snippet${index}.ts`), code)
    const compilerOptions = {
      composite: false,
      declaration: false,
      isolatedDeclarations: false,
      noEmit: true,
    }
    const config = { extends: '../../../../tsconfig.base.json', compilerOptions, include: ['*.ts'] }
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config))
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  it('is short, and has the snippets this test expects', () => {
    expect(readme.split('\n').length).toBeLessThanOrEqual(250)
    expect(snippets).toHaveLength(7)
  })

  it('names every export in its API table, whose errors it names together, and every error in the other', () => {
    const exported = new Set(
      [root, keys, plc, plcDirectory, node, testing].flatMap((entry) => Object.keys(entry)),
    )
    const names = (from: string, to: string) => {
      const section = readme.slice(readme.indexOf(from), readme.indexOf(to))
      return new Set([...section.matchAll(/`([A-Za-z_]\w*)/g)].map(([, name]) => name ?? ''))
    }
    const api = names('## API', '## Guarantees')
    const listed = [...exported].filter((name) => !name.endsWith('Error'))
    expect(listed.length).toBeGreaterThan(30)
    expect(listed.filter((name) => !api.has(name))).toEqual([])
    const told = names('## Errors', '## Conformance')
    const errors = [...exported].filter((name) => name.endsWith('Error') && /^[A-Z]/.test(name))
    expect(errors.length).toBeGreaterThan(10)
    expect(
      errors.filter((name) => !told.has(name) && !told.has(name.replace(/Error$/, ''))),
    ).toEqual([])
  })

  it('has snippets that compile', () => {
    const tsc = join(packageFolder, '../../node_modules/.bin/tsc')
    try {
      execFileSync(tsc, ['-p', folder], { encoding: 'utf8' })
    } catch (error) {
      throw new Error(String(Reflect.get(Object(error), 'stdout')), { cause: error })
    }
  })

  it.each(snippets.map((_code, index) => index))('has a snippet %i that runs', (index) => {
    const file = join(folder, `snippet${index}.ts`)
    const flags = [
      '--conditions=@skywright/source',
      '--experimental-strip-types',
      '--disable-warning=ExperimentalWarning',
    ]
    const printed = execFileSync(process.execPath, [...flags, file], {
      encoding: 'utf8',
      stdio: 'pipe',
    })
    if (output[index] === undefined) expect(printed).not.toBe('')
    else expect(printed).toBe(output[index])
  })
})
