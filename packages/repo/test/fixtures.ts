import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

import { secp256k1 } from '@noble/curves/secp256k1.js'
import { p256 } from '@noble/curves/nist.js'

import { type Cid, decodeCborPrefix, type RepoOp, type Verifier } from '../src/index.ts'

const folder =
  process.env['SKYWRIGHT_FIXTURES'] ??
  fileURLToPath(new URL('../../../../shared/fixtures', import.meta.url))

/** Whether the shared fixtures are at hand; where they are not, the tests that read them are skipped, visibly. */
export const hasFixtures: boolean = existsSync(`${folder}/README.md`)
if (!hasFixtures)
  process.emitWarning(`shared fixtures not found at ${folder}: their tests are skipped`)

export function readFixture(path: string): Uint8Array {
  return new Uint8Array(readFileSync(`${folder}/${path}`))
}

export function readJsonFixture(path: string): unknown {
  return JSON.parse(readFileSync(`${folder}/${path}`, 'utf8'))
}

export function readTextFixture(path: string): string {
  return readFileSync(`${folder}/${path}`, 'utf8')
}

/** The body of a `#commit` frame, as far as these tests need it. */
export interface CommitBody {
  readonly seq: number
  readonly repo: string
  readonly rev: string
  readonly since: string | null
  readonly commit: Cid
  readonly prevData?: Cid
  readonly ops: readonly RepoOp[]
  readonly blocks: Uint8Array
}

/** The captured frames: header type and body. */
export function readFrames(): { readonly type: string; readonly body: CommitBody }[] {
  const bytes = readFixture('live-firehose/frames.bin')
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const frames = []
  for (let at = 0; at < bytes.length;) {
    const length = view.getUint32(at, true)
    const frame = bytes.subarray(at + 4, at + 4 + length)
    at += 4 + length
    const header = decodeCborPrefix(frame)
    const body = decodeCborPrefix(frame, header.end)
    if (body.end !== frame.length) throw new Error('frame is not two items')
    frames.push({ type: (header.value as { t: string }).t, body: body.value as CommitBody })
  }
  return frames
}

const BASE58 = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'

function decodeBase58(text: string): Uint8Array {
  let value = 0n
  for (const character of text) value = value * 58n + BigInt(BASE58.indexOf(character))
  const hex = value.toString(16)
  return Uint8Array.from(Buffer.from(hex.length % 2 ? `0${hex}` : hex, 'hex'))
}

/** A verifier of a multibase key, over @noble/curves. */
export function verifierOf(multibase: string): Verifier {
  const bytes = decodeBase58(multibase.slice(1))
  const curve = bytes[0] === 0xe7 ? secp256k1 : p256
  const key = bytes.subarray(2)
  return {
    verify: (message, signature) => {
      try {
        return curve.verify(signature, message, key, { lowS: true })
      } catch {
        return false
      }
    },
  }
}

/** The signing key of every account of the captured frames. */
export function readKeys(): ReadonlyMap<string, Verifier> {
  const documents = readJsonFixture('live-firehose/did-docs.json') as Record<
    string,
    { verificationMethod: { id: string; publicKeyMultibase: string }[] }
  >
  return new Map(
    Object.entries(documents).map(([did, document]) => {
      const method = document.verificationMethod.find(({ id }) => id.endsWith('#atproto'))
      return [did, verifierOf(method!.publicKeyMultibase)]
    }),
  )
}
