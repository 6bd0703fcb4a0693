import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { generatePrivateKey } from '@skywright/identity/keys'
import { createMemoryResolver } from '@skywright/identity/testing'
import { createMemoryRepoStore, Repo } from '@skywright/repo'
import { describe, expect, it } from 'vitest'
import { renderLexicons, resolveLexicon, vendor } from '../src/adapters/vendor/index.ts'
import { runCommand } from '../src/adapters/vendor/command.ts'
import type { ResolveLexiconOptions } from '../src/adapters/vendor/index.ts'
import type { LexiconCatalog } from '../src/catalog.ts'
import { InvalidLexiconError } from '../src/errors.ts'
import { atproto } from '../src/lexicons.ts'
import { examples } from './documents.ts'

/** Inside the package, so that its name resolves in what is written. */
function temporaryFolder(): string {
  const root = join(import.meta.dirname, '../.cache')
  mkdirSync(root, { recursive: true })
  return mkdtempSync(join(root, 'vendor-'))
}

const NSID = 'com.example.thing'
const DID = 'did:web:lexicons.test'
const record = { $type: 'com.atproto.lexicon.schema', ...examples.get(NSID) }

/** A network with one authority that published one document, as the repository's proof has it. */
async function publish(record: Record<string, unknown>): Promise<ResolveLexiconOptions> {
  const key = generatePrivateKey('k256')
  const store = createMemoryRepoStore()
  const { repo } = await Repo.create(store, { did: DID, signer: key })
  await repo.applyWrites([
    { action: 'create', collection: 'com.atproto.lexicon.schema', rkey: NSID, record },
  ])
  const proof = await repo.proof('com.atproto.lexicon.schema', NSID)
  const resolver = createMemoryResolver()
  resolver.setAccount({ did: DID, signingKey: key.publicKey, pds: 'https://pds.test' })
  return {
    resolver,
    resolveTxt: async (name) => (name === '_lexicon.example.com' ? [[`did=${DID}`]] : []),
    fetch: async () => new Response(proof as Uint8Array<ArrayBuffer>),
  }
}
describe('renderLexicons', () => {
  it('gives the same bytes for the same documents in any order', () => {
    const documents = examples.ids.map((id) => examples.get(id))
    const files = renderLexicons(documents)
    expect([...files.keys()]).toContain('com.example.getThing.ts')
    expect([...renderLexicons(documents.toReversed())]).toEqual([...files])
  })

  it('quotes whatever a document says', () => {
    const hostile = '"; process.exit(1) //\u2028*/ ${x} `'
    const files = renderLexicons([
      {
        lexicon: 1,
        id: 'con.example.hostile',
        description: hostile,
        defs: {
          main: {
            type: 'object',
            properties: JSON.parse(
              `{"__proto__":{"type":"string"},"constructor":{"type":"integer"}}`,
            ) as object,
          },
        },
      },
    ])
    const text = files.get('_con.example.hostile.ts') ?? ''
    expect(text).toContain(JSON.stringify(hostile))
    expect(text).toContain('["__proto__"]: {')
    expect(text).toContain('export const conExampleHostile = {')
  })

  it.each<[string, unknown]>([
    ['no object', null],
    ['an id that is code', { lexicon: 1, id: 'a.b.c = 1', defs: {} }],
    ['an id that is a path', { lexicon: 1, id: '../../a.b.c', defs: {} }],
    ['another version', { lexicon: 2, id: 'a.b.c', defs: {} }],
    ['an unknown type', { lexicon: 1, id: 'a.b.c', defs: { main: { type: 'galaxy' } } }],
    ['too much', { lexicon: 1, id: 'a.b.c', description: 'x'.repeat(1_100_000), defs: {} }],
  ])('refuses %s', (_what, document) => {
    expect(() => renderLexicons([document])).toThrow(InvalidLexiconError)
  })

  it('refuses what is nested too deep to write', () => {
    const deep = '['.repeat(100_000) + ']'.repeat(100_000)
    const text = `{"lexicon":1,"id":"a.b.c","defs":{"main":{"type":"token","x":${deep}}}}`
    expect(() => renderLexicons([JSON.parse(text)])).toThrow(InvalidLexiconError)
  })

  it('gives documents that another catalog takes, and imports for compilers of either kind', async () => {
    const ref = { type: 'ref', ref: 'com.atproto.repo.strongRef' }
    const record = { type: 'object', required: ['subject'], properties: { subject: ref } }
    const main = { type: 'record', key: 'tid', record }
    const star = { lexicon: 1, id: 'com.example.star', defs: { main } }
    expect(renderLexicons([star]).get('index.ts')).toContain("from './com.example.star.ts'")
    const index = renderLexicons([star], { importEnding: '.js' }).get('index.ts') ?? ''
    expect(index).toContain("from './com.example.star.js'")
    expect(index).toContain('export const documents: readonly [\n  typeof comExampleStar,\n]')
    const catalog = atproto.with(star as never)
    const $type = 'com.example.star'
    const subject = { uri: 'at://did:web:a.test/a.b.c/d', cid: 'not one' }
    expect(() => catalog.validateRecord($type, { $type, subject })).toThrow('cid')
  })

  it('refuses a name that is too long for a file', () => {
    const id = `com.${'example.'.repeat(36)}thing`
    expect(() => renderLexicons([{ lexicon: 1, id, defs: { main: { type: 'token' } } }])).toThrow(
      'too long for the name of a file',
    )
  })

  it('tells NSIDs apart that read the same without their dots', () => {
    const ids = ['a.b-c.d', 'a.b.c.d', 'a.b.cD']
    const documents = ids.map((id) => ({ lexicon: 1, id, defs: { main: { type: 'token' } } }))
    const files = renderLexicons(documents)
    const constants = ids.map((id) => /export const (\w+)/.exec(files.get(`${id}.ts`) ?? '')?.[1])
    expect(constants).toEqual(['aBCD', 'aBCD_2', 'aBCD_3'])
    expect([...renderLexicons(documents.toReversed())]).toEqual([...files])
    const imports = files.get('index.ts')?.match(/import \{ aBCD\w* \}/g)
    expect(new Set(imports).size).toBe(3)
  })

  it.each(['con', 'nul', 'com1', 'lpt9', 'aux', 'prn'])('renames %s for Windows', (first) => {
    const id = `${first}.example.thing`
    const files = renderLexicons([{ lexicon: 1, id, defs: { main: { type: 'token' } } }])
    expect([...files.keys()]).toEqual([`_${id}.ts`, 'index.ts'])
    expect(files.get('index.ts')).toContain(`from './_${id}.ts'`)
  })

  it('refuses names that a file system would confuse', () => {
    const defs = { main: { type: 'token' } }
    const documents = ['a.b.thing', 'a.b.Thing'].map((id) => ({ lexicon: 1, id, defs }))
    expect(() => renderLexicons(documents)).toThrow('only in case')
  })

  it('copes with every document of the AT Protocol', () => {
    expect(renderLexicons(atproto.ids.map((id) => atproto.get(id))).size).toBe(252)
  })
})

describe('vendor', () => {
  it('writes modules that work, and nothing when nothing changed', async () => {
    const from = mkdtempSync(join(tmpdir(), 'lexicons-'))
    const out = temporaryFolder()
    try {
      mkdirSync(join(from, 'deep'))
      const [first, ...others] = examples.ids
      for (const id of others) {
        writeFileSync(join(from, 'deep', `${id}.json`), JSON.stringify(examples.get(id)))
      }
      const options = {
        sources: [from, String(first)],
        out,
        resolve: async (nsid: string) => examples.get(nsid),
      }
      const changed = await vendor(options)
      expect(changed.toSorted()).toEqual(readdirSync(out).toSorted())
      expect(await vendor(options)).toEqual([])
      const { lexicons } = (await import(join(out, 'index.ts'))) as { lexicons: LexiconCatalog }
      expect(lexicons.ids).toEqual(examples.ids)
      expect(lexicons.get('com.example.thing')).toEqual(examples.get('com.example.thing'))
      expect(readFileSync(join(out, 'index.ts'), 'utf8')).not.toContain('\\')
      await compile(out)
    } finally {
      rmSync(from, { recursive: true })
      rmSync(out, { recursive: true })
    }
  })
})

/** Compiles modules by the rules of this repository: no unused import, and types that stand by themselves. */
async function compile(folder: string): Promise<void> {
  const root = join(import.meta.dirname, '../../..')
  const compilerOptions = { composite: false, noEmit: true }
  const config = { extends: join(root, 'tsconfig.base.json'), compilerOptions, include: ['*.ts'] }
  const use = [
    "import { lexicons, type Lexicons } from './index.ts'",
    "import type { RecordOf } from '@skywright/xrpc'",
    "export const at: RecordOf<Lexicons, 'com.example.thing'>['createdAt'] = ''",
    '// @ts-expect-error no such field',
    "export type None = RecordOf<Lexicons, 'com.example.thing'>['none']",
    'export const ids: readonly string[] = lexicons.ids\n',
  ]
  writeFileSync(join(folder, 'use.ts'), use.join('\n'))
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config))
  await promisify(execFile)(join(root, 'node_modules/.bin/tsc'), ['-p', folder]).catch(
    (error: { readonly stdout?: string }) => {
      throw new Error(error.stdout)
    },
  )
}

describe('vendor of bad documents', () => {
  it('writes nothing, not even the folder', async () => {
    const folder = temporaryFolder()
    try {
      const source = join(folder, 'bad.json')
      writeFileSync(source, '{"lexicon":1,"id":"a.b.c","defs":{}}')
      const out = join(folder, 'out')
      const failing = vendor({ sources: [source], out, resolve: async () => undefined })
      await expect(failing).rejects.toThrow(InvalidLexiconError)
      expect(readdirSync(folder)).toEqual(['bad.json'])
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})

describe('the command', () => {
  const main = fileURLToPath(new URL('../src/adapters/vendor/main.ts', import.meta.url))
  const flags = ['--conditions=@skywright/source', '--experimental-strip-types']
  const execute = promisify(execFile)

  async function command(
    args: readonly string[],
    network: ResolveLexiconOptions,
  ): Promise<[number, string, string]> {
    const said = { stdout: '', stderr: '' }
    const code = await runCommand(args, {
      ...network,
      stdout: (text) => (said.stdout += text),
      stderr: (text) => (said.stderr += text),
    })
    return [code, said.stdout, said.stderr]
  }

  it('writes a published lexicon, found by DNS and proven', async () => {
    const folder = temporaryFolder()
    try {
      const out = join(folder, 'out')
      const asked: string[] = []
      const network = await publish(record)
      const [code, stdout, stderr] = await command(['vendor', NSID, '--out', out], {
        ...network,
        fetch: async (url, init) => {
          asked.push(url)
          return network.fetch(url, init)
        },
      })
      expect([code, stderr]).toEqual([0, ''])
      expect(stdout).toMatch(
        /^com\.example\.thing published by did:web:lexicons\.test at \w{13}\n2 files written/,
      )
      expect(asked).toEqual([
        'https://pds.test/xrpc/com.atproto.sync.getRecord?did=did%3Aweb%3Alexicons.test&collection=com.atproto.lexicon.schema&rkey=com.example.thing',
      ])
      const { lexicons } = (await import(join(out, 'index.ts'))) as { lexicons: LexiconCatalog }
      expect(lexicons.get(NSID)).toEqual(examples.get(NSID))
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  const gone = (code: string) => async (): Promise<never> => {
    throw Object.assign(new Error(`queryTxt ${code} _lexicon.example.com`), { code })
  }
  it.each<[string, Partial<ResolveLexiconOptions>, string]>([
    ['a name without records', { resolveTxt: gone('ENODATA') }, 'no _lexicon record'],
    ['a name that does not exist', { resolveTxt: gone('ENOTFOUND') }, 'no _lexicon record'],
    ['DNS that does not answer', { resolveTxt: gone('ETIMEOUT') }, 'ETIMEOUT'],
    ['records without a DID', { resolveTxt: async () => [['v=spf1'], ['DID=x']] }, 'no _lexicon'],
    ['two DIDs', { resolveTxt: async () => [[`did=${DID}`], ['did=did:web:b.test']] }, 'several'],
    ['a DID that is none', { resolveTxt: async () => [['did=../../etc']] }, 'etc'],
    ['a DID nobody has', { resolveTxt: async () => [['did=did:web:nobody.test']] }, 'nobody'],
    ['a PDS without it', { fetch: async () => Response.json({}, { status: 404 }) }, '404'],
    ['a page', { fetch: async () => new Response('<html>') }, ''],
    ['an endless proof', { fetch: async () => new Response(endless()) }, 'too long'],
  ])('says what is wrong with %s, and writes nothing', async (_what, changes, message) => {
    const folder = temporaryFolder()
    try {
      const out = join(folder, 'out')
      const network = { ...(await publish(record)), ...changes }
      const [code, stdout, stderr] = await command(['vendor', NSID, '--out', out], network)
      expect([code, stdout]).toEqual([1, ''])
      expect(stderr).toContain(message)
      expect(stderr.length).toBeGreaterThan(10)
      expect(readdirSync(folder)).toEqual([])
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  it.each([[[]], [['vendor']], [['build', 'x']], [['vendor', 'x', '--nope']]])(
    'says how it is used when asked %j',
    async (args) => {
      const [code, stdout, stderr] = await command(args, await publish(record))
      expect([code, stdout]).toEqual([2, ''])
      expect(stderr).toContain('xrpc vendor SOURCE')
    },
  )

  it('writes modules, and says how it is used', async () => {
    const folder = temporaryFolder()
    try {
      const source = join(folder, 'thing.json')
      writeFileSync(source, JSON.stringify(examples.get('com.example.thing')))
      const out = join(folder, 'out')
      const { stdout } = await execute(process.execPath, [
        ...flags,
        main,
        'vendor',
        source,
        '--out',
        out,
      ])
      expect(stdout).toContain('2 files written')
      expect(readdirSync(out)).toEqual(['com.example.thing.ts', 'index.ts'])
      await expect(execute(process.execPath, [...flags, main])).rejects.toMatchObject({
        code: 2,
        stderr: expect.stringContaining('xrpc vendor SOURCE') as unknown,
      })
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})

/** More bytes than any proof has. */
function endless(): ReadableStream<Uint8Array> {
  return new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(100_000)) })
}

describe('resolveLexicon', () => {
  it('finds a published document, and proves it', async () => {
    const options = await publish(record)
    const { document, did } = await resolveLexicon(NSID, options)
    expect(did).toBe(DID)
    expect(document).toEqual(record)
  })

  it('refuses a document under a name that is not its own', async () => {
    const options = await publish({ ...record, id: 'com.example.other' })
    await expect(resolveLexicon(NSID, options)).rejects.toThrow('not its own')
  })

  it('refuses what the publisher did not sign', async () => {
    const options = await publish(record)
    const forged = { ...options, fetch: (await publish(record)).fetch }
    await expect(resolveLexicon(NSID, forged)).rejects.toThrow(/signature/i)
  })

  it('does not walk up or down the names', async () => {
    const options = await publish(record)
    await expect(resolveLexicon('com.example.sub.thing', options)).rejects.toThrow(
      'no _lexicon record',
    )
    await expect(resolveLexicon('com.thing', options)).rejects.toThrow('not an NSID')
  })
})
