import { createMemoryIdentityCache, createResolver } from '@skywright/identity'
import type { DidDocument } from '@skywright/identity'
import { generatePrivateKey } from '@skywright/identity/keys'
import { packDocument } from '../../packages/identity/src/resolver/compact-document.ts'
import { createTheirs } from './resolve-did-cached.ts'
import type { Row } from '../row.ts'

const ACCOUNTS = 1_000_000
/** Accounts asked for through the resolver: as many as it keeps ready to use. */
const HOT_ACCOUNTS = 20_000
const ALPHABET = 'abcdefghijklmnopqrstuvwxyz234567'

export const row: Row = {
  work: 'heap of a resolver with 1,000,000 accounts in its cache, 20,000 of them ready to use with parsed keys',
  unit: 'MB',
  rivalName: '@atproto/identity',
  async measure() {
    const { multibase } = generatePrivateKey('k256').publicKey
    const ours = await heapMb(async () => {
      const cache = createMemoryIdentityCache(ACCOUNTS)
      for (let n = 0; n < ACCOUNTS; n++) {
        const document = parsed(documentText(n, multibase))
        cache.set(document.id, { fetchedAtMs: Date.now(), text: packDocument(document) })
      }
      const resolver = createResolver({
        cache,
        fetch: () => Promise.reject(new Error('asked the network')),
      })
      for (let n = 0; n < HOT_ACCOUNTS; n++) {
        const { signingKey } = await resolver.resolveDid(didOf(n))
        if (signingKey === undefined) throw new Error('no key')
      }
      for (let n = 0; n < ACCOUNTS; n++) {
        if (cache.get(didOf(n)) === undefined) throw new Error(`account ${n} was not kept`)
      }
      return { cache, resolver }
    })
    const rival = await heapMb(async () => {
      const theirs = await createTheirs()
      for (let n = 0; n < ACCOUNTS; n++) {
        const document = parsed(documentText(n, multibase))
        await theirs.cache.cacheDid(document.id, document)
      }
      return theirs
    })
    return {
      ours,
      rival,
      note: `ceiling 400 MB; ${Math.round((ours * 1e6) / ACCOUNTS)} bytes an account; the rival keeps the documents, without a bound`,
    }
  },
}

/** What `build` leaves on the heap, in megabytes of a million bytes. */
async function heapMb(build: () => Promise<object>): Promise<number> {
  const before = usedBytes()
  const built = await build()
  const bytes = usedBytes() - before
  // Read after measuring, so that it is still in use when it is measured.
  if (Object.keys(built).length === 0) throw new Error('nothing was built')
  return bytes / 1e6
}

function usedBytes(): number {
  if (globalThis.gc === undefined) throw new Error('needs --expose-gc')
  globalThis.gc()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

/** The document as the directory answers it, in text that has been through a socket: flat, and shared with nothing. */
function documentText(n: number, multibase: string): string {
  const did = didOf(n)
  return JSON.stringify({
    '@context': [
      'https://www.w3.org/ns/did/v1',
      'https://w3id.org/security/multikey/v1',
      'https://w3id.org/security/suites/secp256k1-2019/v1',
    ],
    id: did,
    alsoKnownAs: [`at://${textOf(n, 10)}.bsky.social`],
    verificationMethod: [
      { id: `${did}#atproto`, type: 'Multikey', controller: did, publicKeyMultibase: multibase },
    ],
    service: [
      {
        id: '#atproto_pds',
        type: 'AtprotoPersonalDataServer',
        serviceEndpoint: 'https://morel.us-east.host.bsky.network',
      },
    ],
  })
}

function parsed(text: string): DidDocument {
  return JSON.parse(text) as DidDocument
}

function didOf(n: number): string {
  return `did:plc:${textOf(n, 24)}`
}

/** Text that looks random and is the same for the same number. */
function textOf(seed: number, length: number): string {
  let state = seed + 1
  let text = ''
  for (let index = 0; index < length; index++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    text += ALPHABET.charAt(state >>> 27)
  }
  return text
}
