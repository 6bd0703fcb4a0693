import { createRequire } from 'node:module'
import { createResolver } from '@skywright/identity'
import { generatePrivateKey } from '@skywright/identity/keys'
import { race, type Row } from '../row.ts'

const ACCOUNTS = 1000

export const row: Row = {
  work: 'resolveDid of accounts in the cache: ours with a parsed key, the rival the document alone',
  unit: '/s',
  rivalName: '@atproto/identity',
  async measure() {
    const { multibase } = generatePrivateKey('k256').publicKey
    let asked = 0
    const documentOf = (did: string): object => ({
      '@context': [
        'https://www.w3.org/ns/did/v1',
        'https://w3id.org/security/multikey/v1',
        'https://w3id.org/security/suites/secp256k1-2019/v1',
      ],
      id: did,
      alsoKnownAs: ['at://alice.example.com'],
      verificationMethod: [
        { id: `${did}#atproto`, type: 'Multikey', controller: did, publicKeyMultibase: multibase },
      ],
      service: [
        {
          id: '#atproto_pds',
          type: 'AtprotoPersonalDataServer',
          serviceEndpoint: 'https://pds.example.com',
        },
      ],
    })
    const resolver = createResolver({
      fetch(input, init) {
        asked++
        const { url } = new Request(input, init)
        return Promise.resolve(Response.json(documentOf(new URL(url).pathname.slice(1))))
      },
    })
    const dids = Array.from({ length: ACCOUNTS }, (_, n) => didOf(n))
    const theirs = await createTheirs()
    for (const did of dids) {
      await resolver.resolveDid(did)
      await theirs.cache.cacheDid(did, documentOf(did))
    }
    const rates = await race(
      {
        async run() {
          for (const did of dids) {
            const { signingKey } = await resolver.resolveDid(did)
            if (signingKey === undefined) throw new Error('no key')
          }
          return ACCOUNTS
        },
      },
      {
        async run() {
          for (const did of dids) {
            if ((await theirs.resolve(did)) === null) throw new Error('no document')
          }
          return ACCOUNTS
        },
      },
    )
    if (asked !== ACCOUNTS) throw new Error(`asked the directory ${asked} times`)
    return {
      ...rates,
      note: `${ACCOUNTS.toLocaleString('en-US')} accounts in turn; floor 500,000/s`,
    }
  },
}

interface TheirCache {
  cacheDid(did: string, document: object): Promise<void>
}

interface TheirModule {
  readonly MemoryCache: new () => TheirCache
  readonly DidResolver: new (options: { readonly didCache: TheirCache }) => {
    resolve(did: string): Promise<object | null>
  }
}

/** The reference's resolver with its memory cache, found through a package that depends on it. */
export async function createTheirs(): Promise<{
  readonly cache: TheirCache
  resolve(did: string): Promise<object | null>
}> {
  const sync = createRequire(import.meta.url).resolve('@atproto/sync')
  const file = createRequire(sync).resolve('@atproto/identity')
  const { DidResolver, MemoryCache } = (await import(file)) as TheirModule
  const cache = new MemoryCache()
  const resolver = new DidResolver({ didCache: cache })
  return { cache, resolve: (did) => resolver.resolve(did) }
}

function didOf(n: number): string {
  const tail = String(n).padStart(24, '0')
  return `did:plc:${tail.replace(/\d/g, (digit) => 'abcdefghij'.charAt(Number(digit)))}`
}
