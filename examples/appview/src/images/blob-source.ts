import type { IdentityResolver } from '@skywright/identity'
import { cidForRaw, equalCids, parseCid, type Cid } from '@skywright/repo'
import { BlobUnavailableError } from '../errors.ts'

/** 5 MB: above every image limit of the lexicons (2 MB) with room for their growth. */
export const MAX_IMAGE_BYTES = 5_000_000
/** A PDS that has not delivered an image by then is not waited for. */
const FETCH_TIMEOUT_MS = 15_000
/** Codec of blobs: raw bytes. */
const RAW_CODEC = 0x55

export interface BlobSourceOptions {
  readonly resolver: Pick<IdentityResolver, 'resolveIdentity'>
  /** Must refuse private addresses: the URL comes from a DID document. */
  readonly fetch: typeof globalThis.fetch
}

/** Where the blobs of accounts come from: `com.atproto.sync.getBlob` of their PDS. Fails by {@link BlobUnavailableError}. */
export interface BlobSource {
  /** The address of a blob. */
  locate(did: string, cid: string, signal?: AbortSignal): Promise<URL>
  /** Fetches a blob and proves that the bytes are the ones the CID names. */
  fetch(did: string, cid: string, maxBytes: number): Promise<Uint8Array>
}

/** See {@link BlobSource}. */
export function createBlobSource({ resolver, fetch }: BlobSourceOptions): BlobSource {
  async function locate(
    did: string,
    cid: string,
    signal = AbortSignal.timeout(FETCH_TIMEOUT_MS),
  ): Promise<URL> {
    let pds: string | undefined
    try {
      pds = (await resolver.resolveIdentity(did, { signal })).pds
    } catch (cause) {
      throw new BlobUnavailableError(502, 'account cannot be resolved', { cause })
    }
    if (pds === undefined) throw new BlobUnavailableError(404, 'account has no PDS')
    const url = new URL('/xrpc/com.atproto.sync.getBlob', pds)
    url.search = new URLSearchParams({ did, cid }).toString()
    return url
  }
  return {
    locate,
    async fetch(did, cid, maxBytes) {
      const expected = parseBlobCid(cid)
      const signal = AbortSignal.timeout(FETCH_TIMEOUT_MS)
      const url = await locate(did, cid, signal)
      let response: Response
      try {
        response = await fetch(url, { signal })
      } catch (cause) {
        throw new BlobUnavailableError(502, 'PDS cannot be reached', { cause })
      }
      if (!response.ok || response.body === null) {
        await response.body?.cancel()
        const gone = response.status === 404 || response.status === 400
        throw new BlobUnavailableError(gone ? 404 : 502, `PDS answered ${response.status}`)
      }
      const bytes = await readBounded(response.body, maxBytes)
      if (!equalCids(cidForRaw(bytes), expected))
        throw new BlobUnavailableError(502, 'PDS sent other bytes than the CID names')
      return bytes
    },
  }
}

/** The CID of a blob: version 1, raw, SHA-256. */
export function parseBlobCid(text: string): Cid {
  let cid: Cid
  try {
    cid = parseCid(text)
  } catch (cause) {
    throw new BlobUnavailableError(400, 'not a CID', { cause })
  }
  if (cid.code !== RAW_CODEC) throw new BlobUnavailableError(400, 'not the CID of a blob')
  return cid
}

async function readBounded(
  body: ReadableStream<Uint8Array>,
  maxBytes: number,
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let length = 0
  try {
    // Leaving the loop cancels the stream.
    for await (const chunk of body) {
      length += chunk.length
      if (length > maxBytes) throw new BlobUnavailableError(413, 'blob is too large')
      chunks.push(chunk)
    }
  } catch (cause) {
    if (cause instanceof BlobUnavailableError) throw cause
    throw new BlobUnavailableError(502, 'PDS stopped in the middle', { cause })
  }
  const bytes = new Uint8Array(length)
  let offset = 0
  for (const chunk of chunks) {
    bytes.set(chunk, offset)
    offset += chunk.length
  }
  return bytes
}
