import type { PrivateKey } from '@skywright/identity/keys'
import { encodeBase64Url } from '../base64.ts'

/** What forgeries imitate: a genuine caller of one method of one service. */
export interface ForgeryOptions {
  /** DID of the issuer, whose document has `key` as `#atproto`. */
  readonly iss: string
  readonly key: PrivateKey
  /** A key of the same curve that the document has only as `#atproto_label`. */
  readonly labelKey: PrivateKey
  /** A key that no document has. */
  readonly strangerKey: PrivateKey
  /** An audience that the verifier accepts, with a service id: `did#id`. The bare DID must not be accepted. */
  readonly aud: string
  /** The method that tokens are verified for. */
  readonly lxm: string
  /** Milliseconds since 1970. */
  readonly now: () => number
}

/** A token that a verifier must refuse. */
export interface Forgery {
  /** What is wrong with it. */
  readonly name: string
  readonly token: string
  /** A genuine token that is to be accepted first, where the order makes the forgery. */
  readonly before?: string
}

type Claims = Readonly<Record<string, unknown>>
type Signer = (bytes: Uint8Array) => Uint8Array

const FUTURE_SECONDS = 3_600
const ABSURD_SECONDS = 10 * 365 * 86_400
const ORDERS = {
  k256: 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n,
  p256: 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n,
} as const

/** A token that a verifier must accept. Each call makes another nonce. */
export function createGenuineToken(options: ForgeryOptions): string {
  return sign(headerOf(options), claimsOf(options), (bytes) => options.key.sign(bytes))
}

/**
 * Tokens that a verifier of service auth must refuse, each wrong in one way. Run any verifier against them:
 *
 * ```ts
 * for (const { name, token } of await createForgeries(options)) {
 *   await expect(verify(token), name).rejects.toThrow()
 * }
 * ```
 */
export async function createForgeries(options: ForgeryOptions): Promise<readonly Forgery[]> {
  const replayed = createGenuineToken(options)
  return [
    ...forgedHeaders(options),
    ...forgedClaims(options),
    ...forgedSignatures(options),
    ...forgedShapes(options),
    { name: 'HMAC with the public key as secret', token: await hmacToken(options) },
    { name: 'used twice', token: replayed, before: replayed },
  ]
}

function forgedHeaders(options: ForgeryOptions): Forgery[] {
  const { key, labelKey, strangerKey } = options
  const by = (signer: PrivateKey, name: string, changes: Claims): Forgery => ({
    name,
    token: sign({ ...headerOf(options), ...changes }, claimsOf(options), (b) => signer.sign(b)),
  })
  const otherAlg = key.jwtAlg === 'ES256' ? 'ES256K' : 'ES256'
  return [
    by(key, 'alg none with a signature', { alg: 'none' }),
    by(key, 'alg of the other curve', { alg: otherAlg }),
    by(key, 'alg missing', { alg: undefined }),
    by(key, 'alg in lower case', { alg: key.jwtAlg.toLowerCase() }),
    by(key, 'typ at+jwt', { typ: 'at+jwt' }),
    by(key, 'typ refresh+jwt', { typ: 'refresh+jwt' }),
    by(key, 'typ dpop+jwt', { typ: 'dpop+jwt' }),
    by(key, 'typ of a space delegation', { typ: 'atproto-space-delegation+jwt' }),
    by(key, 'typ of a space credential', { typ: 'atproto-space-credential+jwt' }),
    by(key, 'typ of a client attestation', { typ: 'atproto-client-attestation+jwt' }),
    by(key, 'typ not text', { typ: 1 }),
    by(key, 'critical extension', { crit: ['b64'], b64: false }),
    by(labelKey, 'kid of a key not meant for this', { kid: '#atproto_label' }),
    by(labelKey, 'signed by another key of the document', {}),
    by(key, 'kid of a key that does not exist', { kid: '#nothing' }),
    by(key, 'kid not text', { kid: ['#atproto'] }),
    by(strangerKey, 'kid that is a did:key', { kid: strangerKey.didKey }),
    by(strangerKey, 'key in the header', { jwk: { kty: 'EC' }, jku: 'https://example.com/jwks' }),
  ]
}

function forgedClaims(options: ForgeryOptions): Forgery[] {
  const { key, aud, iss, lxm } = options
  const seconds = Math.floor(options.now() / 1000)
  const [did = ''] = aud.split('#')
  const claim = (name: string, changes: Claims): Forgery => ({
    name,
    token: sign(headerOf(options), { ...claimsOf(options), ...changes }, (b) => key.sign(b)),
  })
  return [
    claim('aud of another service', { aud: 'did:web:elsewhere.example#service' }),
    claim('aud of another service of the same DID', { aud: `${did}#other` }),
    claim('aud without its service id', { aud: did }),
    claim('aud with something behind it', { aud: `${aud}x` }),
    claim('aud as a list', { aud: [aud] }),
    claim('aud missing', { aud: undefined }),
    claim('aud empty', { aud: '' }),
    claim('lxm missing', { lxm: undefined }),
    claim('lxm null', { lxm: null }),
    claim('lxm of another method', { lxm: 'com.atproto.server.deleteAccount' }),
    claim('lxm a wildcard', { lxm: '*' }),
    claim('lxm in other case', { lxm: lxm.toUpperCase() }),
    claim('lxm as a list', { lxm: [lxm] }),
    claim('expired', { iat: seconds - 700, exp: seconds - 600 }),
    claim('exp missing', { exp: undefined }),
    claim('exp as text', { exp: String(seconds + 60) }),
    claim('exp absurdly far', { exp: seconds + ABSURD_SECONDS }),
    claim('exp in milliseconds', { exp: options.now() + 60_000 }),
    claim('iat in the future', { iat: seconds + FUTURE_SECONDS, exp: seconds + FUTURE_SECONDS }),
    claim('iat missing', { iat: undefined }),
    claim('nbf in the future', { nbf: seconds + FUTURE_SECONDS }),
    claim('jti missing', { jti: undefined }),
    claim('jti not text', { jti: 1 }),
    claim('jti empty', { jti: '' }),
    claim('iss missing', { iss: undefined }),
    claim('iss of another account', { iss: 'did:web:victim.example' }),
    claim('iss with a fragment', { iss: `${iss}#atproto` }),
    claim('iss a handle', { iss: 'alice.example' }),
    claim('iss a did:key', { iss: key.didKey }),
  ]
}

function forgedSignatures(options: ForgeryOptions): Forgery[] {
  const { key, strangerKey } = options
  const signed = (name: string, signer: Signer): Forgery => ({
    name,
    token: sign(headerOf(options), claimsOf(options), signer),
  })
  return [
    signed('signed by a stranger', (bytes) => strangerKey.sign(bytes)),
    signed('high-S signature', (bytes) => highS(key.sign(bytes), ORDERS[key.curve])),
    signed('DER signature', (bytes) => der(key.sign(bytes))),
    signed('signature cut short', (bytes) => key.sign(bytes).subarray(0, 63)),
    signed('signature with a byte more', (bytes) => Uint8Array.of(...key.sign(bytes), 0)),
    signed('signature of zeros', () => new Uint8Array(64)),
    signed('signature over something else', () => key.sign(new Uint8Array(32))),
    signed('no signature', () => new Uint8Array()),
  ]
}

function forgedShapes(options: ForgeryOptions): Forgery[] {
  const genuine = (): string[] => createGenuineToken(options).split('.')
  const [header = '', payload = '', signature = ''] = genuine()
  const altered = encodePart({ ...claimsOf(options), iss: 'did:web:victim.example' })
  const none = encodePart({ ...headerOf(options), alg: 'none' })
  const list = sign(headerOf(options), [claimsOf(options)], (bytes) => options.key.sign(bytes))
  return [
    { name: 'alg none without a signature', token: `${none}.${payload}.` },
    { name: 'claims altered after signing', token: `${header}.${altered}.${signature}` },
    { name: 'header altered after signing', token: `${none}.${payload}.${signature}` },
    { name: 'two parts', token: `${header}.${payload}` },
    { name: 'four parts', token: `${header}.${payload}.${signature}.${signature}` },
    {
      name: 'another spelling of the signature',
      token: `${header}.${payload}.${signature.slice(0, -1)}${nextLetter(signature.slice(-1))}`,
    },
    { name: 'padded base64', token: `${header}.${payload}.${signature}==` },
    { name: 'parts swapped', token: `${payload}.${header}.${signature}` },
    { name: 'claims that are a list', token: list },
    { name: 'claims that are not JSON', token: `${header}.${encodeText('nope')}.${signature}` },
    { name: 'empty', token: '' },
    { name: 'endless', token: `${header}.${payload.repeat(1_000)}.${signature}` },
  ]
}

/** The letter after this one in base64url. At the end of a signature it differs in bits that no byte takes. */
function nextLetter(letter: string): string {
  return String.fromCharCode(letter.charCodeAt(0) + 1)
}

function headerOf({ key }: ForgeryOptions): Claims {
  return { typ: 'JWT', alg: key.jwtAlg }
}

function claimsOf({ iss, aud, lxm, now }: ForgeryOptions): Claims {
  const iat = Math.floor(now() / 1000)
  return { iss, aud, lxm, iat, exp: iat + 60, jti: crypto.randomUUID() }
}

function sign(header: Claims, claims: unknown, signer: Signer): string {
  const signed = `${encodePart(header)}.${encodePart(claims)}`
  return `${signed}.${encodeBase64Url(signer(new TextEncoder().encode(signed)))}`
}

async function hmacToken(options: ForgeryOptions): Promise<string> {
  const signed = `${encodePart({ typ: 'JWT', alg: 'HS256' })}.${encodePart(claimsOf(options))}`
  const algorithm = { name: 'HMAC', hash: 'SHA-512' }
  const secret = Uint8Array.from(options.key.publicKey.bytes)
  const key = await crypto.subtle.importKey('raw', secret, algorithm, false, ['sign'])
  // 64 bytes, so that the length gives nothing away.
  const tag = await crypto.subtle.sign('HMAC', key, new TextEncoder().encode(signed))
  return `${signed}.${encodeBase64Url(new Uint8Array(tag))}`
}

function encodePart(part: unknown): string {
  return encodeText(JSON.stringify(part))
}

function encodeText(text: string): string {
  return encodeBase64Url(new TextEncoder().encode(text))
}

function highS(signature: Uint8Array, order: bigint): Uint8Array {
  const s = BigInt(`0x${hex(signature.subarray(32))}`)
  const flipped = (order - s).toString(16).padStart(64, '0')
  const bytes = Array.from({ length: 32 }, (_, i) =>
    Number.parseInt(flipped.slice(2 * i, 2 * i + 2), 16),
  )
  return Uint8Array.of(...signature.subarray(0, 32), ...bytes)
}

function der(signature: Uint8Array): Uint8Array {
  const parts = [signature.subarray(0, 32), signature.subarray(32)].map((part) => {
    const positive = (part[0] ?? 0) >= 0x80 ? [0, ...part] : [...part]
    return [0x02, positive.length, ...positive]
  })
  const body = parts.flat()
  return Uint8Array.of(0x30, body.length, ...body)
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}
