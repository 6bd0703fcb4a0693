import { inflateSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { drawPng } from './picture.ts'

describe('drawPng', () => {
  it('draws a PNG of the size asked for, every row unfiltered', () => {
    const png = drawPng(8, [10, 20, 30])
    expect(Buffer.from(png.subarray(0, 8)).toString('latin1')).toBe('\x89PNG\r\n\x1a\n')
    const view = new DataView(png.buffer, png.byteOffset)
    expect([view.getUint32(16), view.getUint32(20)]).toEqual([8, 8])
    const data = png.subarray(41, 41 + view.getUint32(33))
    const raw = inflateSync(data)
    expect(raw.length).toBe(8 * (1 + 8 * 3))
    expect([...raw.subarray(0, 4)]).toEqual([0, 10, 20, 30])
  })
})
