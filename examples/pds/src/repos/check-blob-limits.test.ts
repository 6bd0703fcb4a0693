import { cidForRaw } from '@skywright/repo'
import { atproto } from '@skywright/xrpc/lexicons'
import { describe, expect, it } from 'vitest'
import { checkBlobLimits } from './check-blob-limits.ts'

const ref = cidForRaw(new Uint8Array([1]))
const blob = (mimeType: string, size: number): object => ({ $type: 'blob', ref, mimeType, size })
const post = (embed: object): object => ({ $type: 'app.bsky.feed.post', text: '', embed })
const images = (...items: readonly object[]): object => ({
  $type: 'app.bsky.embed.images',
  images: items.map((image) => ({ image, alt: '' })),
})

describe('checkBlobLimits', () => {
  it.each([
    ['a picture', post(images(blob('image/png', 1_000)))],
    [
      'pictures beside a quoted record',
      post({
        $type: 'app.bsky.embed.recordWithMedia',
        record: { record: { uri: 'at://a', cid: 'b' } },
        media: images(blob('image/webp', 1_000)),
      }),
    ],
    ['a video', post({ $type: 'app.bsky.embed.video', video: blob('video/mp4', 50_000_000) })],
    [
      'an embed of an unknown kind',
      post({ $type: 'com.example.embed', file: blob('text/plain', 10 ** 9) }),
    ],
    ['no embed', { $type: 'app.bsky.feed.post', text: '' }],
  ])('accepts %s', (_name, record) => {
    expect(() => checkBlobLimits(atproto, 'app.bsky.feed.post', record)).not.toThrow()
  })

  it.each([
    ['a picture that is text', post(images(blob('text/plain', 10))), 'InvalidMimeType'],
    [
      'one bad picture among good ones',
      post(images(blob('image/png', 10), blob('video/mp4', 10))),
      'InvalidMimeType',
    ],
    ['a picture that is too large', post(images(blob('image/png', 50_000_000))), 'BlobTooLarge'],
    [
      'a video that is a picture',
      post({ $type: 'app.bsky.embed.video', video: blob('image/png', 10) }),
      'InvalidMimeType',
    ],
    [
      'media beside a quoted record',
      post({
        $type: 'app.bsky.embed.recordWithMedia',
        record: { record: { uri: 'at://a', cid: 'b' } },
        media: images(blob('text/html', 10)),
      }),
      'InvalidMimeType',
    ],
  ])('refuses %s', (_name, record, error) => {
    expect(() => checkBlobLimits(atproto, 'app.bsky.feed.post', record)).toThrow(
      expect.objectContaining({ status: 400, error }),
    )
  })
})
