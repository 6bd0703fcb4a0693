import { describe, expect, it } from 'vitest'
import { sniffMimeType } from './sniff-mime-type.ts'

const latin1 = (text: string): Uint8Array => Buffer.from(text, 'latin1')

describe('sniffMimeType', () => {
  it.each([
    ['\xff\xd8\xff\xe0', 'image/jpeg'],
    ['\x89PNG\r\n\x1a\n....', 'image/png'],
    ['GIF89a', 'image/gif'],
    ['RIFF....WEBPVP8 ', 'image/webp'],
    ['RIFF....WAVEfmt ', 'audio/wav'],
    ['\0\0\0\x20ftypavif', 'image/avif'],
    ['\0\0\0\x20ftypheic', 'image/heic'],
    ['\0\0\0\x20ftypqt  ', 'video/quicktime'],
    ['\0\0\0\x20ftypisom', 'video/mp4'],
    ['\x1a\x45\xdf\xa3', 'video/webm'],
    ['ID3\x03', 'audio/mpeg'],
    ['%PDF-1.7', 'application/pdf'],
  ])('knows %j as %s', (start, type) => {
    expect(sniffMimeType(latin1(start))).toBe(type)
  })

  it.each([
    '',
    'hello',
    '<svg xmlns="http://www.w3.org/2000/svg">',
    'WEBVTT\n',
    'RIFF',
    '\xff\xd8',
  ])('leaves %j to the uploader', (start) => {
    expect(sniffMimeType(latin1(start))).toBeUndefined()
  })
})
