import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

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
