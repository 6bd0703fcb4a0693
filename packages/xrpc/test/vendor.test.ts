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
    } finally {
      rmSync(from, { recursive: true })
      rmSync(out, { recursive: true })
    }
  })
})

describe('the command', () => {
  const main = fileURLToPath(new URL('../src/adapters/vendor/main.ts', import.meta.url))
  const flags = ['--conditions=@skywright/source', '--experimental-strip-types']
  const execute = promisify(execFile)

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

describe('resolveLexicon', () => {
  const NSID = 'com.example.thing'
  const DID = 'did:web:lexicons.test'

  async function publish(
    record: Record<string, unknown>,
  ): Promise<Parameters<typeof resolveLexicon>[1]> {
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
  const record = { $type: 'com.atproto.lexicon.schema', ...examples.get(NSID) }

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
