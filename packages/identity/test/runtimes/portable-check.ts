import {
  DidNotFoundError,
  IdentityError,
  createDohResolveTxt,
  createGuardedFetch,
  createResolver,
  createServiceDidDocument,
  getSigningKey,
  isPublicAddress,
  parseDidDocument,
} from '../../src/index.ts'
import {
  generatePrivateKey,
  importPrivateKey,
  parsePublicKey,
  verifyBackends,
} from '../../src/keys/index.ts'
import {
  createPlcClient,
  createPlcIdentity,
  createPlcTombstone,
  updatePlcOperation,
  verifyAuditLog,
} from '../../src/plc/index.ts'
import { createPlcDirectory } from '../../src/plc-directory/index.ts'
import { createMemoryNetwork } from '../../src/testing/index.ts'

const SECRET = 'c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721'
/** RFC 6979, A.2.5, "sample", in low-S form. */
const SAMPLE_SIGNATURE =
  'efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716' +
  '0834e36ad29a83bf2bc9385e491d6099c8fdf9d1ed67aa7ea5f51f93782857a9'

function check(condition: boolean, what: string): void {
  if (!condition) throw new Error(`portable check failed: ${what}`)
}

/** Exercises everything that must work without Node; answers what it did. Throws on the first failure. */
export async function portableCheck(): Promise<string> {
  checkKeys()
  checkDocuments()
  await checkPlcAndResolver()
  await checkDoh()
  await checkGuard()
  return `ok on ${verifyBackends.map(({ name }) => name).join(', ')}`
}

function checkKeys(): void {
  const message = new TextEncoder().encode('sample')
  const sample = importPrivateKey('p256', SECRET).sign(message)
  const hex = Array.from(sample, (byte) => byte.toString(16).padStart(2, '0')).join('')
  check(hex === SAMPLE_SIGNATURE, 'deterministic signature')
  for (const curve of ['k256', 'p256'] as const) {
    const key = generatePrivateKey(curve)
    const signature = key.sign(message)
    for (const backend of verifyBackends) {
      const publicKey = parsePublicKey(key.didKey, { backend })
      check(publicKey.verify(message, signature), `${curve} on ${backend.name}`)
      check(!publicKey.verify(new Uint8Array(3), signature), `${curve} refusal on ${backend.name}`)
    }
  }
}

function checkDocuments(): void {
  const key = generatePrivateKey('k256')
  const did = 'did:web:api.example.com'
  const document = createServiceDidDocument({ did, services: [], keys: { atproto: key.didKey } })
  const parsed = parseDidDocument(JSON.parse(JSON.stringify(document)), did)
  check(getSigningKey(parsed)?.didKey === key.didKey, 'service document')
}

async function checkPlcAndResolver(): Promise<void> {
  const network = createMemoryNetwork()
  const directory = createPlcDirectory({ now: network.now })
  const url = 'https://plc.example.com'
  network.setServer(url, (request) => directory.fetch(request))
  const plc = createPlcClient({ url, fetch: network.fetch })
  const rotation = generatePrivateKey('k256')
  const { did, operation } = await createPlcIdentity({
    signingKey: rotation.didKey,
    handle: 'alice.bsky.social',
    pds: 'https://pds.example.com',
    rotationKeys: [rotation.didKey],
    signer: rotation,
  })
  await plc.submit(did, operation)
  network.setTxt('_atproto.alice.bsky.social', [`did=${did}`])
  const { fetch, resolveTxt, now } = network
  const resolver = createResolver({ plcUrl: url, fetch, resolveTxt, now })
  const identity = await resolver.resolveIdentity('alice.bsky.social')
  check(identity.did === did && identity.handle === 'alice.bsky.social', 'identity')
  check(identity.signingKey?.didKey === rotation.didKey, 'signing key')
  const update = await updatePlcOperation(operation, { handle: 'bob.bsky.social' }, rotation)
  await plc.submit(did, update)
  await plc.submit(did, await createPlcTombstone(update, rotation))
  const log = verifyAuditLog(did, await plc.auditLog(did))
  check(log.chain.length === 3 && log.data === undefined, 'audit log')
  const missing: unknown = await resolver
    .resolveDid('did:plc:aaaaaaaaaaaaaaaaaaaaaaaa')
    .catch((error: unknown) => error)
  check(missing instanceof DidNotFoundError, 'not found')
}

async function checkDoh(): Promise<void> {
  const network = createMemoryNetwork()
  const answer = { Status: 0, Answer: [{ type: 16, data: '"did=" "did:plc:x"' }] }
  network.setServer('https://dns.example.com', () => Response.json(answer))
  const resolveTxt = createDohResolveTxt({ url: 'https://dns.example.com/q', fetch: network.fetch })
  const [record] = await resolveTxt('_atproto.example.com')
  check(record?.join('') === 'did=did:plc:x', 'DNS over HTTPS')
  const did = 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa'
  const txt = (...values: readonly string[]) =>
    Response.json({ Status: 0, Answer: values.map((data) => ({ type: 16, data })) })
  network.setServer('https://dns.example.com', (request) => {
    const name = new URL(request.url).searchParams.get('name')
    if (name === '_atproto.alice.bsky.social')
      return txt('"v=spf1"', `"did=${did.slice(0, 9)}" "${did.slice(9)}"`)
    if (name === '_atproto.two.bsky.social') return txt(`"did=${did}"`, '"did=did:web:a.com"')
    return Response.json({ Status: 3 })
  })
  const resolver = createResolver({ fetch: network.fetch, dohUrl: 'https://dns.example.com/q' })
  const alice = await resolver.resolveHandle('alice.bsky.social')
  check(alice.did === did && alice.method === 'doh', 'handle by DNS over HTTPS')
  for (const [handle, code] of [
    ['two.bsky.social', 'HandleAmbiguous'],
    ['none.bsky.social', 'HandleNotFound'],
  ] as const) {
    const failure: unknown = await resolver.resolveHandle(handle).catch((error: unknown) => error)
    check(failure instanceof IdentityError && failure.code === code, `handle ${code}`)
  }
}

async function checkGuard(): Promise<void> {
  check(isPublicAddress('1.1.1.1') && !isPublicAddress('::ffff:10.0.0.1'), 'addresses')
  const network = createMemoryNetwork()
  const away = () => new Response(null, { status: 302, headers: { location: 'https://10.0.0.1/' } })
  network.setServer('https://a.example.org', away)
  network.setServer('https://b.example.org', () => new Response('fine'))
  const guarded = createGuardedFetch({ fetch: network.fetch })
  check((await (await guarded('https://b.example.org/')).text()) === 'fine', 'guarded fetch')
  const refused: unknown = await guarded('https://a.example.org/').catch((error: unknown) => error)
  check(refused instanceof IdentityError && refused.code === 'ForbiddenAddress', 'redirect refused')
}
