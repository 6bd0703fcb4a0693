import { describe, expect, it } from 'vitest'
import { CompressedMessages } from '../src/jetstream/compressed-messages.ts'

/** Messages kept, and how often one had to be compressed. */
function counting() {
  const compressed: number[] = []
  const messages = new CompressedMessages({
    dictionary: new Uint8Array(),
    compress: (bytes) => {
      compressed.push(bytes.length)
      return bytes
    },
  })
  return { messages, compressed }
}

describe('compressed messages', () => {
  it('are kept for the next who asks', () => {
    const { messages, compressed } = counting()
    for (let n = 0; n < 3_000; n++) messages.bytesOf(String(n % 500))
    expect(compressed).toHaveLength(500)
  })

  it('are forgotten, the oldest first, when they are many', () => {
    const { messages, compressed } = counting()
    for (let n = 0; n <= 1_000; n++) messages.bytesOf(String(n))
    messages.bytesOf('1')
    expect(compressed).toHaveLength(1_001)
    messages.bytesOf('0')
    expect(compressed).toHaveLength(1_002)
  })

  it('are forgotten when they are large: a thousand of the largest would fill the memory', () => {
    const { messages, compressed } = counting()
    const large = (n: number): string => String(n).padEnd(1_000_000, 'x')
    for (let n = 0; n < 40; n++) messages.bytesOf(large(n))
    messages.bytesOf(large(39))
    expect(compressed).toHaveLength(40)
    messages.bytesOf(large(0))
    expect(compressed).toHaveLength(41)
  })
})
