import { decodeFirst } from '@atcute/cbor'
import { Frame } from '@atproto/xrpc-server'
import { decodeEvent } from '@skywright/firehose'
import { readLiveFrames } from '../fixtures.ts'
import { race, type Contender, type Row } from '../row.ts'

export const row: Row = {
  work: 'decode a captured frame; ours checks the fields of its event too',
  unit: '/s',
  rivalName: '@atproto/xrpc-server',
  async measure() {
    const { frames } = readLiveFrames()
    const countOps = (opsOf: (frame: Uint8Array) => number): Contender => ({
      run() {
        let ops = 0
        for (const frame of frames) ops += opsOf(frame)
        if (ops < frames.length) throw new Error(`too few operations; ops=${ops}`)
        return frames.length
      },
    })
    const ours = countOps((frame) => {
      const event = decodeEvent(frame)
      return event.type === 'commit' ? event.ops.length : 0
    })
    const rates = await race(
      ours,
      countOps((frame) => opsIn(Frame.fromBytes(frame).body)),
    )
    const lazy = await race(
      ours,
      countOps((frame) => opsIn(decodeFirst(decodeFirst(frame)[1])[0])),
      1,
    )
    const lazyRate = Math.round(lazy.rival).toLocaleString('en-US')
    return {
      ...rates,
      note: `${frames.length} captured frames; @atcute/cbor, which leaves CIDs undecoded and checks no fields, ${lazyRate}/s`,
    }
  },
}

function opsIn(body: unknown): number {
  return (body as { readonly ops?: readonly unknown[] }).ops?.length ?? 0
}
