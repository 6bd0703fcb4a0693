import { createPublicKey, hash, verify as nodeVerify } from 'node:crypto'
import { createRequire } from 'node:module'
import { P256PublicKey, Secp256k1PublicKey } from '@atcute/crypto'
import { verifySignature } from '@atproto/crypto'
import { generatePrivateKey, parsePublicKey, verifyBackends } from '@skywright/identity/keys'
import { formatRace, formatRate, race, type Contender, type Row } from '../row.ts'

type Curve = 'k256' | 'p256'
type Verify = () => boolean | Promise<boolean>

/** As long as a commit without its signature. */
const MESSAGE = crypto.getRandomValues(new Uint8Array(230))
/** Many and short, so that what else this machine does falls on both alike. */
const ROUNDS = 21
const ROUND_MS = 60

export const row: Row = keyVerifyRow('k256')

/** Verification with the fastest backend present; the note has every backend beside its bare primitive. */
export function keyVerifyRow(curve: Curve): Row {
  return {
    work: `verify a ${curve} signature over 230 bytes, key parsed once where the library allows it`,
    unit: '/s',
    rivalName: '@atproto/crypto',
    async measure() {
      const key = generatePrivateKey(curve)
      const signature = key.sign(MESSAGE)
      const raw = await rawVerifiers(curve, key.publicKey.bytes, signature)
      const parts: string[] = []
      for (const backend of verifyBackends) {
        const bare = raw[backend.name]
        if (bare === undefined) continue
        const publicKey = parsePublicKey(key.didKey, { backend })
        const rates = await run(() => publicKey.verify(MESSAGE, signature), bare)
        const percent = Math.round((rates.ours / rates.rival) * 100)
        parts.push(`${backend.name} ${formatRate(rates.ours)} (${percent} % of the bare primitive)`)
      }
      const ours: Verify = () => key.publicKey.verify(MESSAGE, signature)
      const Theirs = curve === 'k256' ? Secp256k1PublicKey : P256PublicKey
      const atcute = await Theirs.importRaw(Uint8Array.from(key.publicKey.bytes))
      const message = Uint8Array.from(MESSAGE)
      const bytes = Uint8Array.from(signature)
      const second = await run(ours, () => atcute.verify(bytes, message))
      const rates = await run(ours, () => verifySignature(key.didKey, MESSAGE, signature))
      return {
        ...rates,
        note: `${parts.join(', ')}; @atcute/crypto ${formatRace(second)}; ours here on ${verifyBackends[0]?.name ?? ''}`,
      }
    },
  }
}

function run(ours: Verify, rival: Verify): Promise<{ ours: number; rival: number }> {
  return race(contender(ours), contender(rival), ROUNDS)
}

function contender(verify: Verify): Contender {
  return {
    roundMs: ROUND_MS,
    async run() {
      for (let n = 0; n < 20; n++) {
        const valid = verify()
        // Awaited only where it is a promise: a synchronous verification pays for none.
        if ((typeof valid === 'boolean' ? valid : await valid) !== true)
          throw new Error('a valid signature was refused')
      }
      return 20
    },
  }
}

/** What each backend is built on, called by hand: the digest, and nothing checked that it does not check itself. */
async function rawVerifiers(
  curve: Curve,
  point: Uint8Array,
  signature: Uint8Array,
): Promise<Readonly<Record<string, Verify>>> {
  const require = createRequire(new URL('../../packages/identity/src/index.ts', import.meta.url))
  const { ECDH } = await import('node:crypto')
  const openssl = curve === 'k256' ? 'secp256k1' : 'prime256v1'
  const whole = Buffer.from(
    ECDH.convertKey(point, openssl, undefined, undefined, 'uncompressed') as Uint8Array,
  )
  const key = createPublicKey({
    format: 'jwk',
    key: {
      kty: 'EC',
      crv: curve === 'k256' ? 'secp256k1' : 'P-256',
      x: whole.subarray(1, 33).toString('base64url'),
      y: whole.subarray(33).toString('base64url'),
    },
  })
  const options = { key, dsaEncoding: 'ieee-p1363' } as const
  const noble = (await import(
    require.resolve(curve === 'k256' ? '@noble/curves/secp256k1.js' : '@noble/curves/nist.js')
  )) as Record<string, NobleCurve>
  const nobleCurve = noble[curve === 'k256' ? 'secp256k1' : 'p256']
  if (nobleCurve === undefined) throw new Error('no such curve')
  const native =
    curve === 'k256' ? (require('secp256k1/bindings.js') as NativeSecp256k1) : undefined
  return {
    node: () => nodeVerify('sha256', MESSAGE, options, signature),
    noble: () =>
      nobleCurve.verify(signature, MESSAGE, point, {
        prehash: true,
        lowS: true,
        format: 'compact',
      }),
    ...(native === undefined
      ? {}
      : { native: () => native.ecdsaVerify(signature, hash('sha256', MESSAGE, 'buffer'), whole) }),
  }
}

interface NobleCurve {
  verify(signature: Uint8Array, message: Uint8Array, point: Uint8Array, options: object): boolean
}

interface NativeSecp256k1 {
  ecdsaVerify(signature: Uint8Array, digest: Uint8Array, point: Uint8Array): boolean
}
