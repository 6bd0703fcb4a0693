import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { generatePrivateKey } from '@skywright/identity/keys'
import { createMemoryResolver } from '@skywright/identity/testing'
import { createMemoryRepoStore, Repo } from '@skywright/repo'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { runCommand } from '../src/adapters/vendor/command.ts'
import { vendor } from '../src/adapters/vendor/index.ts'
import type { ResolveLexiconOptions } from '../src/adapters/vendor/index.ts'
import type { LexiconCatalog } from '../src/catalog.ts'
import { InvalidLexiconError } from '../src/errors.ts'

/** A document with an object that refers to others. */
function documentOf(id: string, ...refs: readonly string[]): Record<string, unknown> {
  const properties = Object.fromEntries(refs.map((ref, i) => [`p${i}`, { type: 'ref', ref }]))
  return { lexicon: 1, id, defs: { main: { type: 'object', properties } } }
}

interface Network extends ResolveLexiconOptions {
  /** NSIDs in the order in which their documents were fetched. */
  readonly asked: string[]
}

/** A network with an account and a key for each authority. Those in `forged` have a key that did not sign. */
async function publish(
  documents: readonly Record<string, unknown>[],
  forged: readonly string[] = [],
): Promise<Network> {
  const resolver = createMemoryResolver()
  const repos = new Map<string, Repo>()
  const names = new Map<string, string>()
  for (const document of documents) {
    const rkey = String(document['id'])
    const authority = rkey.split('.').slice(0, -1).toReversed().join('.')
    const did = `did:web:${authority}`
    let repo = repos.get(did)
    if (repo === undefined) {
      const signer = generatePrivateKey('k256')
      const { publicKey } = forged.includes(authority) ? generatePrivateKey('k256') : signer
      repo = (await Repo.create(createMemoryRepoStore(), { did, signer })).repo
      resolver.setAccount({ did, signingKey: publicKey, pds: 'https://pds.test' })
      names.set(`_lexicon.${authority}`, did)
      repos.set(did, repo)
    }
    const collection = 'com.atproto.lexicon.schema'
    const record = { $type: collection, ...document }
    await repo.applyWrites([{ action: 'create', collection, rkey, record }])
  }
  const asked: string[] = []
  return {
    asked,
    resolver,
    resolveTxt: async (name) => [[`did=${names.get(name) ?? ''}`]].filter(() => names.has(name)),
    fetch: async (url) => {
      const { searchParams } = new URL(url)
      const rkey = searchParams.get('rkey') ?? ''
      asked.push(rkey)
      const repo = repos.get(searchParams.get('did') ?? '')
      const proof = await repo?.proof('com.atproto.lexicon.schema', rkey)
      return new Response(proof as Uint8Array<ArrayBuffer>)
    },
  }
}

let folder = ''
let out = ''
beforeEach(() => {
  // Inside the package, so that its name resolves in what is written.
  const root = join(import.meta.dirname, '../.cache')
  mkdirSync(root, { recursive: true })
  folder = mkdtempSync(join(root, 'vendor-references-'))
  out = join(folder, 'out')
})
afterEach(() => rmSync(folder, { recursive: true }))

async function command(network: Network, ...sources: readonly string[]): Promise<string> {
  let said = ''
  const write = (text: string): void => void (said += text)
  const args = ['vendor', ...sources, '--out', out]
  const code = await runCommand(args, { ...network, stdout: write, stderr: write })
  return `${code} ${said}`
}

describe('what published lexicons refer to', () => {
  const circle = [
    documentOf(
      'com.example.a',
      'org.other.one#main',
      'com.example.c',
      '#main',
      'com.example.a#main',
    ),
    documentOf('org.other.one', 'com.example.b'),
    documentOf('com.example.b', 'com.example.a', 'org.other.one'),
    documentOf('com.example.c'),
    documentOf('com.example.alone'),
  ]

  it('comes with them, proven by whoever publishes it, each once, circles included', async () => {
    const network = await publish(circle)
    const said = await command(network, 'com.example.a')
    const order = ['com.example.a', 'com.example.c', 'org.other.one', 'com.example.b']
    expect(network.asked).toEqual(order)
    expect(said.match(/^.* published by \S+/gm)).toHaveLength(order.length)
    expect(said).toContain('org.other.one published by did:web:other.org at ')
    expect(said).toContain('5 files written')
    const { lexicons } = (await import(join(out, 'index.ts'))) as { lexicons: LexiconCatalog }
    expect(lexicons.ids).toEqual(order.toSorted())
    const value = { p0: { p0: { p0: {} } } }
    expect(lexicons.validateObject('com.example.a', value)).toEqual(value)
    expect(() => lexicons.validateObject('com.example.a', { p1: { p0: 1 } })).not.toThrow()
    expect(() => lexicons.validateObject('com.example.a', { p1: 1 })).toThrow('p1')
  })

  it('gives the same files whatever comes first', async () => {
    const network = await publish(circle)
    await command(network, 'com.example.a')
    expect(await command(network, 'com.example.b')).toContain('0 files written')
    expect(await command(network, 'com.example.c', 'org.other.one')).toContain('0 files written')
  })

  it('is found in unions and deep inside', async () => {
    const items = { type: 'union', refs: ['org.other.one', '#main', 'com.example.c#d'] }
    const deep = { type: 'object', properties: { list: { type: 'array', items } } }
    const main = { type: 'record', key: 'tid', record: deep }
    const network = await publish([
      { lexicon: 1, id: 'com.example.deep', defs: { main } },
      documentOf('org.other.one'),
      documentOf('com.example.c'),
    ])
    expect(await command(network, 'com.example.deep')).toMatch(/^0 /)
    expect(network.asked).toEqual(['com.example.deep', 'com.example.c', 'org.other.one'])
  })

  it('stays where it is with --no-follow', async () => {
    const network = await publish(circle)
    expect(await command(network, 'com.example.a', '--no-follow')).toContain('2 files written')
    expect(network.asked).toEqual(['com.example.a'])
    expect(readdirSync(out)).toEqual(['com.example.a.ts', 'index.ts'])
  })

  it('is not fetched when a file or the package has it, nor for files', async () => {
    const file = join(folder, 'one.json')
    writeFileSync(file, JSON.stringify(documentOf('org.other.one', 'net.nowhere.x')))
    const network = await publish([
      documentOf(
        'com.example.a',
        'org.other.one',
        'com.atproto.repo.strongRef',
        'app.bsky.feed.defs',
      ),
    ])
    expect(await command(network, 'com.example.a', file)).toContain('3 files written')
    expect(network.asked).toEqual(['com.example.a'])
  })

  it.each<[string, string, readonly string[], string]>([
    ['is not published', 'org.other.two', [], 'not published'],
    ['has no authority', 'net.nowhere.x', [], 'no _lexicon record'],
    ['was not signed by its publisher', 'org.other.one', ['other.org'], 'signature'],
    ['has no name that could be looked up', '../../etc/passwd', [], 'no NSID'],
    ['has an empty name', '', [], 'no NSID'],
  ])('that %s is refused by name, and nothing is written', async (_what, ref, forged, why) => {
    const documents = [documentOf('com.example.a', ref), documentOf('org.other.one')]
    const said = await command(await publish(documents, forged), 'com.example.a')
    expect(said).toMatch(/\n?.*invalid lexicon; nsid=com\.example\.a, reason=refers to /)
    expect(said).toContain(ref)
    expect(said.toLowerCase()).toContain(why.toLowerCase())
    expect(said.startsWith('1 ')).toBe(true)
    expect(readdirSync(folder)).toEqual([])
  })

  it('is bounded before it is fetched', async () => {
    let asked = 0
    const resolve = async (nsid: string): Promise<unknown> => {
      asked++
      const names = Array.from({ length: 20_000 }, (_, i) => `com.example.n${i}`)
      return documentOf(nsid, ...names)
    }
    const failing = vendor({ sources: ['com.example.a'], out, resolve })
    await expect(failing).rejects.toThrow('refers to too many, maxDocuments=1000')
    expect(asked).toBe(1)
  })

  it('is bounded when every document leads to new ones', async () => {
    let asked = 0
    const resolve = async (nsid: string): Promise<unknown> => {
      asked++
      return documentOf(nsid, `${nsid}a`, `${nsid}b`)
    }
    const failing = vendor({ sources: ['com.example.x'], out, resolve })
    await expect(failing).rejects.toThrow(InvalidLexiconError)
    expect(asked).toBe(500)
  })

  it('is not taken from a document of another name', async () => {
    const resolve = async (nsid: string): Promise<unknown> =>
      nsid === 'com.example.a' ? documentOf(nsid, 'com.example.b') : documentOf('com.example.c')
    const failing = vendor({ sources: ['com.example.a'], out, resolve })
    await expect(failing).rejects.toThrow('is another, id=com.example.c')
  })
})
