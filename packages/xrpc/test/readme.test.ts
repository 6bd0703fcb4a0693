import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'

const run = promisify(execFile)
const root = join(import.meta.dirname, '..')
const readme = readFileSync(join(root, 'README.md'), 'utf8')
const guide = readFileSync(join(root, '../../docs/guides/calls-between-services.md'), 'utf8')
const blocks = [readme, guide].flatMap((text) =>
  [...text.matchAll(/```ts\n(.*?)```/gs)].map(([, code = '']) => code),
)

/** Inside the package, so that its own name resolves; outside of what the package's own build includes. */
const folder = join(root, '.cache/readme')

describe('README', () => {
  it('has code that compiles and runs', async () => {
    expect(blocks.length).toBeGreaterThanOrEqual(8)
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
    await run(tsc, ['-p', folder]).catch((error: { readonly stdout?: string }) => {
      throw new Error(error.stdout)
    })
    // One process, which takes a fraction of the time that one for each would.
    const all = [...blocks.keys()].map((i) => `await import('./block-${i}.ts')\n`)
    writeFileSync(join(folder, 'all.mjs'), all.join(''))
    const flags = ['--conditions=@skywright/source', '--experimental-strip-types']
    await run(process.execPath, [...flags, join(folder, 'all.mjs')])
  }, 60_000)

  it('shows a server and a client in under 40 lines', () => {
    const [first = ''] = blocks
    expect(first.trimEnd().split('\n').length).toBeLessThan(40)
    for (const part of ['createExpressHandler', 'worker', 'auth:', 'client.query', 'client.proc']) {
      expect(first).toContain(part)
    }
    expect(readme.split('\n').length).toBeLessThanOrEqual(250)
  })
})
