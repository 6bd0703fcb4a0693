import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createMemoryResolver } from '@skywright/identity/testing'
import { cidForCbor, cidForRaw } from '@skywright/repo'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openDiskCache } from '../src/images/disk-cache.ts'
import { MAX_IMAGE_BYTES } from '../src/images/blob-source.ts'
import { type AppView, devConfig, startAppView } from '../src/index.ts'
import { SmallPds } from './small-pds.ts'
import { until } from './until.ts'

const PNG = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 1, 2, 3)
const HTML = new TextEncoder().encode('<script>alert(1)</script>')
const SVG = new TextEncoder().encode('<svg xmlns="http://www.w3.org/2000/svg"/>')

let pds: SmallPds
let appView: AppView
let directory: string
let did: string
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'appview-images-'))
  const resolver = createMemoryResolver()
  pds = await new SmallPds(resolver).listen()
  const required = { dataDirectory: directory, plcUrl: 'http://localhost:1', relay: pds.url }
  appView = await startAppView(devConfig(required, { backfill: false }), { resolver })
  await until(appView.index, async () => (await appView.status()).ingest.connected)
  did = (await pds.account('alice')).did
  await until(appView.index, async () => (await appView.index.actor(did))?.rev !== undefined)
})
afterAll(async () => {
  await appView[Symbol.asyncDispose]()
  await pds[Symbol.asyncDispose]()
  rmSync(directory, { recursive: true, force: true })
})

const get = (path: string, init: RequestInit = {}): Promise<Response> =>
  fetch(new URL(path, appView.url), { redirect: 'manual', ...init })
const image = (cid: string, preset = 'avatar', of = did): string =>
  `/img/${preset}/plain/${of}/${cid}`

describe('the image route', () => {
  it('serves the bytes of the PDS with headers under which nothing runs', async () => {
    const cid = pds.putBlob(PNG)
    const before = pds.blobRequests
    for (const path of [image(cid), image(cid, 'feed_fullsize'), `${image(cid)}@jpeg`]) {
      const response = await get(path)
      expect(response.status).toBe(200)
      expect(new Uint8Array(await response.arrayBuffer())).toEqual(PNG)
      expect(Object.fromEntries(response.headers)).toMatchObject({
        'content-type': 'image/png',
        'x-content-type-options': 'nosniff',
        'content-security-policy': "default-src 'none'; sandbox",
        'x-frame-options': 'DENY',
        etag: `"${cid}"`,
      })
    }
    expect(pds.blobRequests - before).toBe(1)
    expect((await appView.status()).imageBytes).toBe(PNG.length)
    const again = await get(image(cid), { headers: { 'if-none-match': `"${cid}"` } })
    expect(again.status).toBe(304)
  })

  it('asks the PDS once for many requests at a time', async () => {
    const cid = pds.putBlob(Uint8Array.of(...PNG, 9))
    const before = pds.blobRequests
    const responses = await Promise.all(Array.from({ length: 10 }, () => get(image(cid))))
    expect(responses.map(({ status }) => status)).toEqual(Array.from({ length: 10 }, () => 200))
    expect(pds.blobRequests - before).toBe(1)
  })

  it('refuses bytes that are not those of the CID, and keeps none of them', async () => {
    const cid = cidForRaw(Uint8Array.of(...PNG, 7)).toString()
    pds.blobs.set(cid, PNG)
    const files = readdirSync(join(directory, 'images')).length
    expect((await get(image(cid))).status).toBe(502)
    expect(readdirSync(join(directory, 'images'))).toHaveLength(files)
  })

  it('refuses what is no image, whatever the PDS calls it', async () => {
    for (const bytes of [HTML, SVG, new Uint8Array()]) {
      const response = await get(image(pds.putBlob(bytes)))
      expect([response.status, response.headers.get('content-type')]).toEqual([
        415,
        'application/json; charset=utf-8',
      ])
    }
  })

  it('refuses what is too large', async () => {
    const large = new Uint8Array(MAX_IMAGE_BYTES + 1)
    large.set(PNG)
    expect((await get(image(pds.putBlob(large)))).status).toBe(413)
  })

  it('refuses unknown presets, CIDs that are no blobs, and unknown or hidden accounts', async () => {
    const cid = pds.putBlob(PNG)
    const record = cidForCbor(Uint8Array.of(0xa0)).toString()
    const expected = [
      [image(cid, 'huge'), 400],
      [image('bafy'), 400],
      [image(record), 400],
      [image(cid, 'avatar', 'did:plc:unknownunknownunknownunk'), 404],
      [image(cid, 'avatar', 'alice.test'), 404],
      [image(cidForRaw(HTML).toString().replace(/.$/, 'x')), 400],
      [image(cidForRaw(Uint8Array.of(1)).toString()), 404],
      [`/img/avatar/plain/..%2f..%2fetc/${cid}`, 404],
    ] as const
    for (const [path, status] of expected)
      expect([path, (await get(path)).status]).toEqual([path, status])
    await appView.index.apply([
      { type: 'account', seq: 2, did, active: false, status: 'takendown' },
    ])
    expect((await get(image(cid))).status).toBe(404)
    await appView.index.apply([{ type: 'account', seq: 3, did, active: true }])
    expect((await get(image(cid))).status).toBe(200)
  })
})

describe('the blob route', () => {
  it('sends to the PDS of the account', async () => {
    const cid = pds.putBlob(HTML)
    const response = await get(`/blob/${did}/${cid}`)
    expect(response.status).toBe(302)
    const location = new URL(response.headers.get('location') ?? '')
    expect([location.origin, location.pathname]).toEqual([
      pds.url,
      '/xrpc/com.atproto.sync.getBlob',
    ])
    expect(location.searchParams.get('cid')).toBe(cid)
  })
})

describe('openDiskCache', () => {
  it('removes the least recently used files above its limit, and finds the rest again', async () => {
    const folder = join(directory, 'cache')
    const cache = await openDiskCache({ directory: folder, maxBytes: 10 })
    await cache.put('a', new Uint8Array(4))
    await cache.put('b', new Uint8Array(4))
    expect(await cache.get('a')).toHaveLength(4)
    await cache.put('c', new Uint8Array(4))
    expect(await cache.get('b')).toBeUndefined()
    expect(cache.size).toBe(8)
    await cache.put('large', new Uint8Array(11))
    expect(readdirSync(folder).toSorted()).toEqual(['a', 'c'])
    const reopened = await openDiskCache({ directory: folder, maxBytes: 10 })
    expect(reopened.size).toBe(8)
    expect(await reopened.get('c')).toHaveLength(4)
  })
})
