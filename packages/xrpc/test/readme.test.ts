import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'

const run = promisify(execFile)
const root = join(import.meta.dirname, '..')
const blocks = [...readFileSync(join(root, 'README.md'), 'utf8').matchAll(/```ts\n(.*?)```/gs)].map(
  ([, code = '']) => code,
)

/** Inside the package, so that its own name resolves; outside of what the package's own build includes. */
const folder = join(root, '.cache/readme')

describe('README', () => {
  it('has code that compiles and runs', async () => {
    expect(blocks.length).toBeGreaterThanOrEqual(7)
    mkdirSync(folder, { recursive: true })
    const config = {
      extends: '../../../../tsconfig.base.json',
      compilerOptions: {
        composite: false,
        noEmit: true,
        isolatedDeclarations: false,
        declaration: false,
        noUnusedLocals: false,
      },
      include: ['*.ts'],
    }
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config))
    blocks.forEach((code, i) => writeFileSync(join(folder, `block-${i}.ts`), `${code}export {}\n`))
    const tsc = join(root, '../../node_modules/.bin/tsc')
    await run(tsc, ['-p', folder])
    const flags = ['--conditions=@skywright/source', '--experimental-strip-types']
    for (const i of blocks.keys()) {
      await run(process.execPath, [...flags, join(folder, `block-${i}.ts`)])
    }
  }, 60_000)

  it('shows a server and a client in under 40 lines', () => {
    const [first = ''] = blocks
    expect(first.trimEnd().split('\n').length).toBeLessThan(40)
  })
})
