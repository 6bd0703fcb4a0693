import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const packageFolder = fileURLToPath(new URL('..', import.meta.url))
const folder = join(packageFolder, '.cache', 'readme')
const readme = readFileSync(join(packageFolder, 'README.md'), 'utf8')
const blocks = [...readme.matchAll(/```ts\n(.*?)```/gs)].map(([, code]) => code ?? '')

describe('the README', () => {
  beforeAll(() => {
    mkdirSync(folder, { recursive: true })
    for (const [index, code] of blocks.entries())
      writeFileSync(join(folder, `block${index}.ts`), code)
    writeFileSync(
      join(folder, 'tsconfig.json'),
      JSON.stringify({
        extends: '../../../../tsconfig.base.json',
        compilerOptions: {
          composite: false,
          declaration: false,
          isolatedDeclarations: false,
          noEmit: true,
        },
        include: ['*.ts'],
      }),
    )
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  it('has at most 250 lines and the snippets this test expects', () => {
    expect(readme.split('\n').length).toBeLessThanOrEqual(250)
    expect(blocks.length).toBe(5)
  })

  it('has snippets that compile', () => {
    const tsc = join(packageFolder, '../../node_modules/.bin/tsc')
    try {
      execFileSync(tsc, ['-p', folder], { encoding: 'utf8' })
    } catch (error) {
      throw new Error((error as { stdout?: string }).stdout ?? 'tsc failed', { cause: error })
    }
  })

  it.each(blocks.map((_, index) => index))('has a snippet %i that runs', (index) => {
    execFileSync(
      process.execPath,
      [
        '--conditions=@skywright/source',
        '--experimental-strip-types',
        '--disable-warning=ExperimentalWarning',
        join(folder, `block${index}.ts`),
      ],
      { encoding: 'utf8', stdio: 'pipe' },
    )
  })
})
