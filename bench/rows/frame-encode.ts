import { MessageFrame } from '@atproto/xrpc-server'
import {
  decodeFrame,
  encodeMessageFrame,
  type MessageFrame as Message,
} from '@skywright/xrpc/frame'
import { readLiveFrames } from '../fixtures.ts'
import { race, type Row } from '../row.ts'

export const row: Row = {
  work: 'encode the messages of captured relay frames, header and payload',
  unit: '/s',
  rivalName: '@atproto/xrpc-server',
  async measure() {
    const { frames } = readLiveFrames()
    const messages: Message[] = []
    for (const bytes of frames) {
      const frame = decodeFrame(bytes)
      if (frame.op !== 1) continue
      messages.push(frame)
      expectSame(bytes, ours(frame), 'ours')
      expectSame(bytes, rival(frame), 'the rival')
    }
    const rates = await race(
      {
        run() {
          for (const message of messages) ours(message)
          return messages.length
        },
      },
      {
        run() {
          for (const message of messages) rival(message)
          return messages.length
        },
      },
    )
    const bytes = frames.reduce((sum, frame) => sum + frame.length, 0)
    const mean = Math.round(bytes / frames.length)
    return { ...rates, note: `${messages.length} frames of ${mean} bytes in the mean; same bytes` }
  },
}

function ours({ type, body }: Message): Uint8Array {
  return encodeMessageFrame(type, body)
}

function rival({ type, body }: Message): Uint8Array {
  // What decoding gave is made of the values that the rival's type lists.
  const values = body as ConstructorParameters<typeof MessageFrame>[0]
  return new MessageFrame(values, { type }).toBytes()
}

function expectSame(expected: Uint8Array, actual: Uint8Array, who: string): void {
  if (Buffer.compare(expected, actual) !== 0) throw new Error(`${who} encodes other bytes`)
}
