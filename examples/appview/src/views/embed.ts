import { authorityOf, parseRecordUri } from '../at-uri.ts'
import {
  type Hydration,
  isBlocked,
  isPairBlocked,
  isRecordVisible,
} from '../hydration/hydration.ts'
import type { BlobUrls } from '../images/url.ts'
import { blobCid } from '../images/url.ts'
import { listField, objectField, textField, typeOf } from '../record-fields.ts'
import { isoTime } from './datetime.ts'
import { generatorView } from './generator.ts'
import { labelsOf } from './labels.ts'
import { actorViewerState, profileViewBasic } from './profile.ts'
import type { EmbedView } from './view-types.ts'

/** A quoted post shows its own embeds, but not those of a post it quotes in turn. */
const MAX_QUOTE_DEPTH = 2

type Variant = EmbedView & Readonly<Record<string, unknown>>

/**
 * How the embed of a record is shown; `undefined` when there is none, or it is of a kind that this
 * server does not know, or a blob of it is damaged.
 *
 * @param did author of the record: blobs live in the author's repository
 */
export function embedView(
  hydration: Hydration,
  urls: BlobUrls,
  did: string,
  embed: unknown,
  depth = 0,
): EmbedView | undefined {
  switch (typeOf(embed)) {
    case 'app.bsky.embed.images':
      return imagesView(urls, did, embed)
    case 'app.bsky.embed.gallery':
      return galleryView(urls, did, embed)
    case 'app.bsky.embed.video':
      return videoView(urls, did, embed)
    case 'app.bsky.embed.external':
      return externalView(urls, did, embed)
    case 'app.bsky.embed.record':
      return recordView(hydration, urls, did, textField(objectField(embed, 'record'), 'uri'), depth)
    case 'app.bsky.embed.recordWithMedia':
      return recordWithMediaView(hydration, urls, did, embed, depth)
    default:
      return undefined
  }
}

function imagesView(urls: BlobUrls, did: string, embed: unknown): EmbedView {
  const images = listField(embed, 'images').flatMap((image) => {
    const blob = objectField(image, 'image')
    const thumb = urls.image('feed_thumbnail', did, blob)
    const fullsize = urls.image('feed_fullsize', did, blob)
    if (thumb === undefined || fullsize === undefined) return []
    return [{ thumb, fullsize, alt: textField(image, 'alt') ?? '', ...aspectRatio(image) }]
  })
  return { $type: 'app.bsky.embed.images#view', images } as Variant
}

function galleryView(urls: BlobUrls, did: string, embed: unknown): EmbedView {
  const items = listField(embed, 'items').flatMap((image) => {
    const blob = objectField(image, 'image')
    const thumbnail = urls.image('feed_thumbnail', did, blob)
    const fullsize = urls.image('feed_fullsize', did, blob)
    if (thumbnail === undefined || fullsize === undefined) return []
    const alt = textField(image, 'alt') ?? ''
    return [
      {
        $type: 'app.bsky.embed.gallery#viewImage',
        thumbnail,
        fullsize,
        alt,
        ...aspectRatio(image),
      },
    ]
  })
  return { $type: 'app.bsky.embed.gallery#view', items } as Variant
}

function videoView(urls: BlobUrls, did: string, embed: unknown): EmbedView | undefined {
  const video = objectField(embed, 'video')
  const cid = blobCid(video)
  const playlist = urls.blob(did, video)
  if (cid === undefined || playlist === undefined) return undefined
  const alt = textField(embed, 'alt')
  const presentation = textField(embed, 'presentation')
  return {
    $type: 'app.bsky.embed.video#view',
    cid,
    playlist,
    ...(alt === undefined ? {} : { alt }),
    ...aspectRatio(embed),
    ...(presentation === undefined ? {} : { presentation }),
  } as Variant
}

function externalView(urls: BlobUrls, did: string, embed: unknown): EmbedView | undefined {
  const external = objectField(embed, 'external')
  const uri = textField(external, 'uri')
  if (uri === undefined) return undefined
  const thumb = urls.image('feed_thumbnail', did, external?.['thumb'])
  return {
    $type: 'app.bsky.embed.external#view',
    external: {
      uri,
      title: textField(external, 'title') ?? '',
      description: textField(external, 'description') ?? '',
      ...(thumb === undefined ? {} : { thumb }),
    },
  } as Variant
}

function recordWithMediaView(
  hydration: Hydration,
  urls: BlobUrls,
  did: string,
  embed: unknown,
  depth: number,
): EmbedView | undefined {
  const media = embedView(hydration, urls, did, objectField(embed, 'media'), depth)
  const quoted = textField(objectField(objectField(embed, 'record'), 'record'), 'uri')
  const record = recordView(hydration, urls, did, quoted, depth)
  if (record === undefined) return media
  if (media === undefined) return record
  return { $type: 'app.bsky.embed.recordWithMedia#view', record, media } as Variant
}

function recordView(
  hydration: Hydration,
  urls: BlobUrls,
  did: string,
  uri: string | undefined,
  depth: number,
): EmbedView | undefined {
  if (uri === undefined || depth >= MAX_QUOTE_DEPTH) return undefined
  const record = quotedRecord(hydration, urls, did, uri, depth)
  return { $type: 'app.bsky.embed.record#view', record } as Variant
}

function quotedRecord(
  hydration: Hydration,
  urls: BlobUrls,
  did: string,
  uri: string,
  depth: number,
): Variant | object {
  const notFound = { $type: 'app.bsky.embed.record#viewNotFound', uri, notFound: true }
  const collection = parseRecordUri(uri)?.collection
  if (collection === 'app.bsky.feed.generator') {
    const view = generatorView(hydration, urls, uri)
    return view === undefined ? notFound : { $type: 'app.bsky.feed.defs#generatorView', ...view }
  }
  const row = hydration.posts.get(uri)
  const author = authorityOf(uri)
  if (row === undefined || !isRecordVisible(hydration, uri, author)) return notFound
  if (isBlocked(hydration, author) || isPairBlocked(hydration, did, author)) {
    const viewer = actorViewerState(hydration, author)
    return {
      $type: 'app.bsky.embed.record#viewBlocked',
      uri,
      blocked: true,
      author: { did: author, ...(viewer === undefined ? {} : { viewer }) },
    }
  }
  const counts = hydration.counts.get(uri)
  const embeds = embedView(hydration, urls, author, row.record?.['embed'], depth + 1)
  return {
    $type: 'app.bsky.embed.record#viewRecord',
    uri,
    cid: row.cid,
    author: profileViewBasic(hydration, urls, author),
    value: row.record,
    labels: labelsOf(hydration, row),
    likeCount: counts?.['likeCount'] ?? 0,
    replyCount: counts?.['replyCount'] ?? 0,
    repostCount: counts?.['repostCount'] ?? 0,
    quoteCount: counts?.['quoteCount'] ?? 0,
    indexedAt: isoTime(row.indexedAt),
    embeds: embeds === undefined ? [] : [embeds],
  }
}

function aspectRatio(image: unknown): { readonly aspectRatio?: object } {
  const ratio = objectField(image, 'aspectRatio')
  return ratio === undefined ? {} : { aspectRatio: ratio }
}
