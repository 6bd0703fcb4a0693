import { execFile } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'

const run = promisify(execFile)
const root = join(import.meta.dirname, '..')
/** Inside the package, so that it resolves by its own name. */
const folder = join(root, '.cache', 'readme')

it('has code in its README that compiles under the house flags and runs', async () => {
  const readme = readFileSync(join(root, 'README.md'), 'utf8')
  const blocks = [...readme.matchAll(/```ts\n([\s\S]*?)```/g)].map((match) => match[1] ?? '')
  expect(blocks.length).toBeGreaterThanOrEqual(5)
  expect((blocks[0] ?? '').trim().split('\n').length).toBeLessThanOrEqual(25)
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  writeFileSync(
    join(folder, 'tsconfig.json'),
    JSON.stringify({
      extends: '../../../../tsconfig.base.json',
      compilerOptions: {
        composite: false,
        isolatedDeclarations: false,
        declaration: false,
        noEmit: true,
      },
      include: ['*.ts'],
    }),
  )
  const files = blocks.map((code, number) => {
    const file = join(folder, `block-${number}.ts`)
    writeFileSync(file, `${code}\nexport {}\n`)
    return file
  })
  await run(join(root, '../../node_modules/.bin/tsc'), ['-p', folder])
  for (const file of files)
    await run(process.execPath, ['--conditions=@skywright/source', file], { cwd: folder })
}, 60_000)
