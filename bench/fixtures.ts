import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** Where captured network input lies; see CONTRIBUTING.md. */
export const FIXTURES: string =
  process.env['SKYWRIGHT_FIXTURES'] ?? join(import.meta.dirname, '..', '..', 'shared', 'fixtures')

export interface LiveFrames {
  /** Every captured frame, in the order a relay sent it. */
  readonly frames: readonly Uint8Array[]
  /** DID → `did:key` of the account's signing key at capture. */
  readonly signingKeys: ReadonlyMap<string, string>
}

interface CapturedDocument {
  readonly verificationMethod?: readonly {
    readonly id: string
    readonly publicKeyMultibase?: string
  }[]
}

/** The 150 contiguous frames of the live capture, or an error that says where they were looked for. */
export function readLiveFrames(): LiveFrames {
  const folder = join(FIXTURES, 'live-firehose')
  if (!existsSync(folder))
    throw new Error(`this row needs captured frames; SKYWRIGHT_FIXTURES=${FIXTURES}`)
  const bytes = readFileSync(join(folder, 'frames.bin'))
  const frames: Uint8Array[] = []
  for (let offset = 0; offset < bytes.length;) {
    const length = bytes.readUInt32LE(offset)
    frames.push(new Uint8Array(bytes.subarray(offset + 4, offset + 4 + length)))
    offset += 4 + length
  }
  // A capture of ours: DID → document.
  const documents = JSON.parse(readFileSync(join(folder, 'did-docs.json'), 'utf8')) as Record<
    string,
    CapturedDocument
  >
  const signingKeys = new Map<string, string>()
  for (const [did, document] of Object.entries(documents)) {
    const method = document.verificationMethod?.find((entry) => entry.id.endsWith('#atproto'))
    if (method?.publicKeyMultibase !== undefined)
      signingKeys.set(did, `did:key:${method.publicKeyMultibase}`)
  }
  return { frames, signingKeys }
}

const COLLECTIONS = [
  'app.bsky.feed.like',
  'app.bsky.feed.post',
  'app.bsky.graph.follow',
  'app.bsky.feed.repost',
]
const TID_ALPHABET = '234567abcdefghijklmnopqrstuvwxyz'

/** `count` different paths the way a busy account has them: likes, posts, follows and reposts, in no order, the same ones each time. */
export function samplePaths(count: number): string[] {
  const paths = new Set<string>()
  // xorshift32
  let state = 0x2545f491
  const next = (): number => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return state >>> 0
  }
  while (paths.size < count) {
    const collection = COLLECTIONS[next() % COLLECTIONS.length] ?? ''
    let rkey = '3k'
    while (rkey.length < 13) rkey += TID_ALPHABET[next() % 32] ?? ''
    paths.add(`${collection}/${rkey}`)
  }
  return [...paths]
}
