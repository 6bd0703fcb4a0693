import { decodeFirst } from '@atcute/cbor'
import { createCollectionMatcher, peekFrame } from '@skywright/firehose'
import { readLiveFrames } from '../fixtures.ts'
import { race, type Row } from '../row.ts'

const WANTED = ['app.bsky.feed.post', 'app.bsky.graph.*']

export const row: Row = {
  work: 'see whether a captured frame touches a wanted collection; the rival decodes it for that, as @atcute/firehose does',
  unit: '/s',
  rivalName: '@atcute/cbor',
  async measure() {
    const { frames } = readLiveFrames()
    const matches = createCollectionMatcher(WANTED)
    const isWanted = (path: string): boolean => matches(path.slice(0, path.indexOf('/')))
    const peeked = frames.filter((frame) => peekFrame(frame).paths.some(isWanted)).length
    const decoded = frames.filter((frame) => decodedPaths(frame).some(isWanted)).length
    if (peeked === 0 || peeked === frames.length || peeked !== decoded)
      throw new Error(`the two disagree; peeked=${peeked} decoded=${decoded}`)
    const filterBy = (pathsOf: (frame: Uint8Array) => readonly string[]) => ({
      run() {
        let found = 0
        for (const frame of frames) if (pathsOf(frame).some(isWanted)) found++
        if (found !== peeked) throw new Error(`found ${found}`)
        return frames.length
      },
    })
    const rates = await race(
      filterBy((frame) => peekFrame(frame).paths),
      filterBy(decodedPaths),
    )
    return { ...rates, note: `${peeked} of ${frames.length} captured frames wanted` }
  },
}

function decodedPaths(frame: Uint8Array): readonly string[] {
  const [, rest] = decodeFirst(frame)
  const [body] = decodeFirst(rest)
  const { ops = [] } = body as { readonly ops?: readonly { readonly path: string }[] }
  return ops.map((op) => op.path)
}
