import { execFile } from 'node:child_process'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const run = promisify(execFile)
const root = fileURLToPath(new URL('..', import.meta.url))
const folder = join(root, '.cache', 'readme')
const readme = await readFile(join(root, 'README.md'), 'utf8')
const blocks = [...readme.matchAll(/```ts\n(.*?)```/gs)].map(([, code = '']) => code)
const fileOf = (index: number) => join(folder, `block${String(index)}.ts`)

describe('the README', () => {
  beforeAll(async () => {
    await mkdir(folder, { recursive: true })
    for (const [index, code] of blocks.entries()) await writeFile(fileOf(index), code)
    const config = {
      extends: '../../../../tsconfig.base.json',
      compilerOptions: {
        composite: false,
        declaration: false,
        isolatedDeclarations: false,
        noEmit: true,
      },
      include: ['*.ts'],
    }
    await writeFile(join(folder, 'tsconfig.json'), JSON.stringify(config))
  })
  afterAll(async () => {
    await rm(folder, { recursive: true, force: true })
  })

  it('is short enough and has the blocks this test expects', () => {
    expect(readme.split('\n').length).toBeLessThanOrEqual(250)
    expect(blocks).toHaveLength(3)
  })

  it('has blocks that compile', async () => {
    const tsc = join(root, '../../node_modules/.bin/tsc')
    const failure = await run(tsc, ['-p', folder]).catch((error: { stdout: string }) => error)
    expect(failure.stdout).toBe('')
  })

  it.each(blocks.map((_, index) => index))('has a block %i that runs', async (index) => {
    const flags = ['--conditions=@skywright/source', '--disable-warning=ExperimentalWarning']
    await run(process.execPath, [...flags, '--experimental-strip-types', fileOf(index)], {
      cwd: folder,
    })
  })

  it('has a block that makes a log of a repository, event and commit in one transaction', async () => {
    const url = fileOf(1)
    const { firstPost, log } = (await import(/* @vite-ignore */ url)) as {
      firstPost: (did: string, signer: unknown) => Promise<Uint8Array | undefined>
      log: { bounds(): { last: number } }
    }
    const { generatePrivateKey } = await import('@skywright/identity/keys')
    const before = log.bounds().last
    const key = generatePrivateKey('k256')
    const frame = await firstPost('did:plc:aaaaaaaaaaaaaaaaaaaaaaaa', key)
    expect(frame).toBeInstanceOf(Uint8Array)
    expect(log.bounds().last).toBe(before + 2)
  })
})
