/**
 * Heap of a resolver's cache, filled with accounts as the directory answers them.
 *
 *     node --expose-gc --conditions=@skywright/source bench/cache-memory.ts [ENTRIES]
 */
import { createMemoryIdentityCache } from '../src/index.ts'
import { generatePrivateKey } from '../src/keys/index.ts'
import { plcDidDocument } from '../src/plc/index.ts'
import { packDocument } from '../src/resolver/compact-document.ts'

const entries = Number(process.argv[2] ?? 1_000_000)
const alphabet = 'abcdefghijklmnopqrstuvwxyz234567'
const signingKey = generatePrivateKey('k256').didKey

function text(seed: number, length: number): string {
  let state = seed + 1
  let out = ''
  for (let index = 0; index < length; index++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    out += alphabet[state >>> 27] ?? 'a'
  }
  // A flat copy, as text from the network is.
  return Buffer.from(out).toString('latin1')
}

globalThis.gc?.()
const before = process.memoryUsage().heapUsed
const cache = createMemoryIdentityCache(entries)
for (let index = 0; index < entries; index++) {
  const did = Buffer.from(`did:plc:${text(index, 24)}`).toString('latin1')
  const document = plcDidDocument({
    did,
    rotationKeys: [],
    verificationMethods: { atproto: signingKey },
    alsoKnownAs: [`at://${text(index, 10)}.bsky.social`],
    services: {
      atproto_pds: {
        type: 'AtprotoPersonalDataServer',
        endpoint: 'https://morel.us-east.host.bsky.network',
      },
    },
  })
  cache.set(did, { fetchedAtMs: Date.now(), text: packDocument(document) })
}
globalThis.gc?.()
const bytes = process.memoryUsage().heapUsed - before
// Read after measuring, so that the cache is still in use when it is measured.
if (cache.get('did:plc:none') !== undefined) throw new Error('found what was not put in')
process.stdout.write(
  `${entries} entries: ${Math.round(bytes / 1e6)} MB of heap, ${Math.round(bytes / entries)} bytes each\n`,
)
