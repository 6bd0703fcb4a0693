import { asCid } from '@skywright/repo'
import { asFields, typeOf } from '../record-fields.ts'

/** Sizes that clients ask for. Nothing is resized: every preset serves the original bytes. */
export const PRESETS = ['avatar', 'banner', 'feed_thumbnail', 'feed_fullsize'] as const
export type ImagePreset = (typeof PRESETS)[number]

/** Where clients find the blobs of records. */
export interface BlobUrls {
  /** URL of an image; `undefined` when `blob` is not a blob. */
  image(preset: ImagePreset, did: string, blob: unknown): string | undefined
  /** URL of any blob, such as a video. */
  blob(did: string, blob: unknown): string | undefined
}

/** URLs below the public origin of this server. */
export function createBlobUrls(publicUrl: string): BlobUrls {
  return {
    image(preset, did, blob) {
      const cid = blobCid(blob)
      return cid === undefined
        ? undefined
        : `${publicUrl}/img/${preset}/plain/${pathSegment(did)}/${cid}`
    },
    blob(did, blob) {
      const cid = blobCid(blob)
      return cid === undefined ? undefined : `${publicUrl}/blob/${pathSegment(did)}/${cid}`
    },
  }
}

/** CID text of a blob reference, of today's form or of the one before 2023. */
export function blobCid(blob: unknown): string | undefined {
  if (typeOf(blob) === 'blob') {
    return asCid(asFields(blob)?.['ref'])?.toString()
  }
  const legacy = asFields(blob)?.['cid']
  return typeof legacy === 'string' ? legacy : undefined
}

/** A DID as one path segment: did:web ports carry a percent sign. */
function pathSegment(did: string): string {
  return did.replaceAll('%', '%25')
}
