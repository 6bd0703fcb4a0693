import { secp256k1 } from '@noble/curves/secp256k1.js'
import { base58btc } from 'multiformats/bases/base58'

import { type RepoErrorCode, type Signer, type Verifier } from '../src/index.ts'
import { REPO_DEFECTS, type RepoDefect } from '../src/testing/index.ts'

/** The account all vectors are of. */
export const VECTOR_DID = 'did:web:vectors.example.com'

/** The secret key of the vectors, public on purpose: anybody may make more of them. */
const SECRET = new Uint8Array(32).fill(0x42)
const PUBLIC = secp256k1.getPublicKey(SECRET)

/** Multibase form of the public key, as in a DID document; behind `did:key:` it is the did:key. */
export const VECTOR_PUBLIC_KEY: string = base58btc.encode(Uint8Array.of(0xe7, 0x01, ...PUBLIC))

function signWith(format: 'compact' | 'der'): (bytes: Uint8Array) => Uint8Array {
  return (bytes) => secp256k1.sign(bytes, SECRET, { lowS: true, format })
}

/** Signs and verifies with the key of the vectors; signatures are deterministic. */
export const vectorKey: Signer & Verifier = {
  sign: signWith('compact'),
  verify: (bytes, signature) => {
    try {
      return secp256k1.verify(signature, bytes, PUBLIC, { lowS: true })
    } catch {
      return false
    }
  },
}

/** Turns `s` of a signature into the order of the curve minus `s`: valid mathematics, forbidden by the protocol. */
function withHighS(signature: Uint8Array): Uint8Array {
  const order = secp256k1.Point.CURVE().n
  const s = BigInt(`0x${Buffer.from(signature.subarray(32)).toString('hex')}`)
  const high = (order - s).toString(16).padStart(64, '0')
  return Uint8Array.of(...signature.subarray(0, 32), ...Buffer.from(high, 'hex'))
}

function signedBy(name: string, defect: string, sign: Signer['sign']): RepoDefect {
  const sound = REPO_DEFECTS.find((candidate) => candidate.name === 'valid-one-record')
  return {
    name,
    defect,
    expected: 'InvalidSignature',
    build: async ({ did }) => {
      if (sound === undefined) throw new Error('the control is gone')
      return sound.build({ did, signer: { sign } })
    },
  }
}

const SIGNATURES: readonly RepoDefect[] = [
  signedBy(
    'signature-high-s',
    'the signature has the high of the two possible values of s',
    (bytes) => withHighS(signWith('compact')(bytes)),
  ),
]

/** One vector with its bytes. */
export interface Vector {
  readonly name: string
  readonly defect: string
  readonly expected: RepoErrorCode | 'accept'
  readonly car: Uint8Array
}

/** Gives all vectors, the same bytes every time. */
export async function buildVectors(): Promise<readonly Vector[]> {
  const defects = [...REPO_DEFECTS, ...SIGNATURES]
  return Promise.all(
    defects.map(async ({ name, defect, expected, build }) => ({
      name,
      defect,
      expected: expected ?? ('accept' as const),
      car: await build({ did: VECTOR_DID, signer: vectorKey }),
    })),
  )
}

/** The index that lies beside the CARs. */
export function formatIndex(vectors: readonly Vector[]): string {
  const index = {
    about:
      'Small repo CARs, each wrong in one way (or right, as a control). A strict verifier of whole repos must refuse all but those expected to be accepted. The names of errors are those of @skywright/repo; that a vector is refused is what counts.',
    did: VECTOR_DID,
    publicKeyMultibase: VECTOR_PUBLIC_KEY,
    vectors: vectors.map(({ name, defect, expected, car }) => ({
      name,
      file: `${name}.car`,
      bytes: car.length,
      defect,
      expected,
    })),
  }
  return `${JSON.stringify(index, null, 2)}\n`
}
