import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { build } from 'tsup'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const packageFolder = fileURLToPath(new URL('..', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'skywright-bundle-'))

describe('the root entry as one bundle for browsers', () => {
  let code = ''

  beforeAll(async () => {
    await build({
      entry: { bundle: join(packageFolder, 'src/index.ts') },
      outDir: folder,
      config: false,
      format: 'esm',
      platform: 'browser',
      target: 'es2023',
      minify: true,
      noExternal: [/.*/],
      silent: true,
      dts: false,
    })
    code = readFileSync(join(folder, 'bundle.js'), 'utf8')
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  it('imports nothing, least of all a Node built-in', () => {
    expect(code).not.toMatch(/\bfrom\s*["']/)
    expect(code).not.toMatch(/\bimport\s*["'(]/)
    expect(code).not.toMatch(/\brequire\(/)
    // The one way to Node's own hash is asked for at run time, where it exists.
    expect(code.match(/(?<=["'`])node:[a-z/]+(?=["'`])/g)).toEqual(['node:crypto'])
  })

  it('has the size the README tells', () => {
    const kilobytes = Math.round(code.length / 1000)
    const told = /(\d+) kB minified/.exec(readFileSync(join(packageFolder, 'README.md'), 'utf8'))
    expect(Math.abs(Number(told?.[1]) - kilobytes)).toBeLessThanOrEqual(5)
    expect(kilobytes).toBeLessThan(130)
  })

  it('works without Buffer, process and node:crypto', async () => {
    const { runInNewContext } = await import('node:vm')
    const portable = code.replace(/export\s*\{([^}]*)\};?\s*$/, (_, names: string) => {
      const pairs = names.split(',').map((pair) => pair.trim().split(/\s+as\s+/))
      return `;globalThis.repo={${pairs.map(([local, exported = local]) => `${exported}:${local}`).join(',')}}`
    })
    const context = {
      TextEncoder,
      TextDecoder,
      Uint8Array,
      performance,
      setTimeout,
      atob,
      btoa,
      output: '',
    }
    runInNewContext(portable, context)
    const result: unknown = runInNewContext(
      `(() => {
        const { buildMst, cidForCbor, encodeCbor, decodeCbor, Mst, keyDepth } = repo
        const value = cidForCbor(encodeCbor({ hello: 'wörld', big: 'x'.repeat(5000) }))
        const built = buildMst([['com.example.a/1', value], ['com.example.a/2', value]])
        const tree = Mst.empty().put('com.example.a/2', value).put('com.example.a/1', value)
        return [String(built.root), String(tree.root), String(value), keyDepth('2a92d355')].join(' ')
      })()`,
      context,
    )
    const { buildMst, cidForCbor, encodeCbor } = await import('../src/index.ts')
    const value = cidForCbor(encodeCbor({ hello: 'wörld', big: 'x'.repeat(5000) }))
    const { root } = buildMst([
      ['com.example.a/1', value],
      ['com.example.a/2', value],
    ])
    expect(result).toBe(`${root.toString()} ${root.toString()} ${value.toString()} 4`)
  })
})
