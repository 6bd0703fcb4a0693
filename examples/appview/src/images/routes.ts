import { createHash } from 'node:crypto'
import { Router, type Response } from 'express'
import type { LabelerPreference } from '@skywright/xrpc'
import type { AppIndex } from '../collections.ts'
import { BlobUnavailableError } from '../errors.ts'
import { isShown } from '../hydration/hydration.ts'
import type { DiskCache } from './disk-cache.ts'
import { type BlobSource, MAX_IMAGE_BYTES, parseBlobCid } from './blob-source.ts'
import { sniffImage } from './sniff.ts'
import { PRESETS } from './url.ts'

/** A week: content never changes, but an account may be taken down. */
const CACHE_SECONDS = 604_800
/** Images being fetched at a time; each may hold {@link MAX_IMAGE_BYTES} in memory. */
const MAX_FETCHES = 64

/** Nothing that a blob contains may run, whatever it claims to be. */
const SAFE_HEADERS = {
  'x-content-type-options': 'nosniff',
  'content-security-policy': "default-src 'none'; sandbox",
  'x-frame-options': 'DENY',
  'cross-origin-resource-policy': 'cross-origin',
  'access-control-allow-origin': '*',
} as const

export interface ImageRoutesOptions {
  readonly index: AppIndex
  readonly blobs: BlobSource
  readonly cache: DiskCache
  /** Those that may take accounts down. */
  readonly labelers: readonly LabelerPreference[]
}

/**
 * `GET /img/{preset}/plain/{did}/{cid}`: images of indexed accounts, from their PDS, proven against their CID and kept;
 * several requests for one wait for one fetch. `GET /blob/{did}/{cid}`: other files, by redirect to the PDS.
 */
export function imageRoutes(options: ImageRoutesOptions): Router {
  const { index, blobs, cache, labelers } = options
  const underway = new Map<string, Promise<Uint8Array>>()

  async function loadImage(did: string, cid: string): Promise<Uint8Array> {
    const name = createHash('sha256').update(`${did} ${cid}`).digest('hex')
    const cached = await cache.get(name)
    if (cached !== undefined) return cached
    const bytes = await blobs.fetch(did, cid, MAX_IMAGE_BYTES)
    await cache.put(name, bytes)
    return bytes
  }

  function loadOnce(did: string, cid: string): Promise<Uint8Array> {
    const key = `${did} ${cid}`
    const running = underway.get(key)
    if (running !== undefined) return running
    if (underway.size >= MAX_FETCHES)
      throw new BlobUnavailableError(503, 'too many images at a time')
    const started = loadImage(did, cid).finally(() => underway.delete(key))
    underway.set(key, started)
    return started
  }

  /** Only accounts that are indexed and may be shown: this is no open proxy. Requests for images name no labelers. */
  async function assertShown(did: string): Promise<void> {
    if (!did.startsWith('did:') || !isShown(await index.actor(did)))
      throw new BlobUnavailableError(404, 'account not found')
    const said = await index.labels([did], await index.acceptLabelers(undefined, labelers))
    if (said.get(did)?.redacted === true) throw new BlobUnavailableError(404, 'account not found')
  }

  const router = Router()
  router.get('/img/:preset/plain/:did/:file', async (request, response) => {
    await answer(response, async () => {
      const { preset, did, file } = request.params
      if (!PRESETS.some((known) => known === preset))
        throw new BlobUnavailableError(400, 'unknown preset')
      // The format behind the @ is a wish of clients of other AppViews; the original is always served.
      const [cid = ''] = file.split('@')
      parseBlobCid(cid)
      await assertShown(did)
      if (isFresh(request.headers['if-none-match'], cid)) return notModified(response, cid)
      const bytes = await loadOnce(did, cid)
      const type = sniffImage(bytes)
      if (type === undefined) throw new BlobUnavailableError(415, 'not an image')
      send(response, cid, type, bytes)
    })
  })
  router.get('/blob/:did/:cid', async (request, response) => {
    await answer(response, async () => {
      const { did, cid } = request.params
      parseBlobCid(cid)
      await assertShown(did)
      response.redirect(302, (await blobs.locate(did, cid)).href)
    })
  })
  return router
}

async function answer(response: Response, serve: () => Promise<void>): Promise<void> {
  response.set(SAFE_HEADERS)
  try {
    await serve()
  } catch (error) {
    if (!(error instanceof BlobUnavailableError)) throw error
    response.status(error.status).set('cache-control', 'no-store')
    response.json({ error: error.code, message: error.message })
  }
}

function send(response: Response, cid: string, type: string, bytes: Uint8Array): void {
  response.set({ ...cacheHeaders(cid), 'content-type': type })
  response.end(bytes)
}

function notModified(response: Response, cid: string): void {
  response.status(304).set(cacheHeaders(cid)).end()
}

function cacheHeaders(cid: string): Readonly<Record<string, string>> {
  return { etag: `"${cid}"`, 'cache-control': `public, max-age=${CACHE_SECONDS}, immutable` }
}

function isFresh(condition: string | undefined, cid: string): boolean {
  return condition?.includes(`"${cid}"`) === true
}
