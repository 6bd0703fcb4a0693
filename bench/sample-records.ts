import { cidForRaw } from '@skywright/repo'

const COUNT = 1_000

/** Posts as they are written: a facet, a reply, an image, text in several scripts; all different. */
export function sampleRecords(): readonly Readonly<Record<string, unknown>>[] {
  const text = new TextEncoder()
  return Array.from({ length: COUNT }, (_, n) => {
    const parent = `at://did:plc:bench${n % 97}/app.bsky.feed.post/3kbench${n}`
    const link = cidForRaw(text.encode(parent))
    return {
      $type: 'app.bsky.feed.post',
      text: `record ${n}: grüße, こんにちは, and some more of what people write`,
      createdAt: '2026-01-01T00:00:00.000Z',
      langs: ['en', 'ja'],
      reply: {
        root: { cid: link.toString(), uri: parent },
        parent: { cid: link.toString(), uri: parent },
      },
      embed: {
        $type: 'app.bsky.embed.images',
        images: [
          {
            alt: '',
            image: { $type: 'blob', ref: link, mimeType: 'image/jpeg', size: 100_000 + n },
            aspectRatio: { width: 1000, height: 750 },
          },
        ],
      },
      facets: [
        {
          index: { byteStart: 0, byteEnd: 10 },
          features: [{ $type: 'app.bsky.richtext.facet#link', uri: 'https://example.com/' }],
        },
      ],
    }
  })
}
