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

/** `count` paths and record CIDs the way a busy account has them: likes, posts, follows, in no order. */
export function samplePaths(count: number): string[] {
  const collections = [
    'app.bsky.feed.like',
    'app.bsky.feed.post',
    'app.bsky.graph.follow',
    'app.bsky.feed.repost',
  ]
  const alphabet = '234567abcdefghijklmnopqrstuvwxyz'
  const paths: string[] = []
  let state = 0x2545f491
  for (let i = 0; i < count; i++) {
    let rkey = '3k'
    for (let digit = 0; digit < 7; digit++) {
      state ^= state << 13
      state ^= state >>> 17
      state ^= state << 5
      rkey += alphabet[(state >>> 0) % 32] ?? '2'
    }
    paths.push(
      `${collections[(state >>> 5) & 3] ?? ''}/${rkey}${(i % 1024).toString(32).padStart(4, '2').replaceAll('0', 'x').replaceAll('1', 'y').replaceAll('8', 'z').replaceAll('9', 'w')}`,
    )
  }
  return paths
}
