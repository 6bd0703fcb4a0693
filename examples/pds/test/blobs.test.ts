import { createHash, randomBytes } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { importPrivateKey } from '@skywright/identity/keys'
import { createServiceJwt } from '@skywright/xrpc'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openAccountStore } from '../src/accounts/account-store.ts'
import { BLOB_GRACE_MS } from '../src/blobs/sweep-blobs.ts'
import { openDatabase } from '../src/database.ts'
import {
  call,
  PASSWORD,
  startTestPds,
  type Answer,
  type TestAccount,
  type TestPds,
} from './harness.ts'

const UPLOAD = 'com.atproto.repo.uploadBlob'
const GET = 'com.atproto.sync.getBlob'
const MAX_BYTES = 1_000_000
const PNG = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1')

let now = Date.UTC(2026, 0, 1)
let server: TestPds
let alice: TestAccount

beforeAll(async () => {
  server = await startTestPds({ maxBlobBytes: MAX_BYTES }, { now: () => now })
  alice = await server.account('alice')
})
afterAll(() => server[Symbol.asyncDispose]())

interface BlobJson {
  readonly $type: string
  readonly ref: { readonly $link: string }
  readonly mimeType: string
  readonly size: number
}

function png(): Buffer {
  return Buffer.concat([PNG, randomBytes(500)])
}

/** Lets time pass, and signs in again: the access token has expired by then. */
async function pass(ms: number): Promise<void> {
  now += ms
  const { data } = await server.agent().login({ identifier: alice.did, password: PASSWORD })
  alice = { ...alice, accessJwt: data.accessJwt }
}

async function upload(
  bytes: Uint8Array,
  type = 'image/png',
  token = alice.accessJwt,
): Promise<BlobJson> {
  const answer = await call(server.url, UPLOAD, {
    token,
    body: Uint8Array.from(bytes),
    headers: { 'content-type': type },
  })
  expect(answer.status).toBe(200)
  return (answer.body as { blob: BlobJson }).blob
}

function write(record: object, rkey: string): Promise<Answer> {
  return call(server.url, 'com.atproto.repo.putRecord', {
    token: alice.accessJwt,
    json: {
      repo: alice.did,
      collection: 'com.example.media',
      rkey,
      record: { $type: 'com.example.media', ...record },
    },
  })
}

function remove(rkey: string): Promise<Answer> {
  return call(server.url, 'com.atproto.repo.deleteRecord', {
    token: alice.accessJwt,
    json: { repo: alice.did, collection: 'com.example.media', rkey },
  })
}

function fetchBlob(cid: string, did = alice.did): Promise<Answer> {
  return call(server.url, GET, { params: { did, cid } })
}

async function files(): Promise<string[]> {
  const names = await readdir(join(server.folder, 'blobs'), {
    recursive: true,
    withFileTypes: true,
  })
  return names.filter((entry) => entry.isFile()).map(({ name }) => name)
}

describe('uploadBlob', () => {
  it('names the blob by its bytes and believes the bytes about their type', async () => {
    const bytes = png()
    const blob = await upload(bytes, 'text/plain')
    expect(blob).toMatchObject({ $type: 'blob', mimeType: 'image/png', size: bytes.length })
    expect(blob.ref.$link).toMatch(/^bafkrei/)
  })

  it('takes the declared type where the bytes say nothing, without its parameters', async () => {
    expect((await upload(Buffer.from('WEBVTT\n'), 'text/vtt; charset=utf-8')).mimeType).toBe(
      'text/vtt',
    )
  })

  it('takes an empty blob', async () => {
    const answer = await call(server.url, UPLOAD, {
      token: alice.accessJwt,
      body: new Uint8Array(0),
      headers: { 'content-type': 'text/plain' },
    })
    expect(answer).toMatchObject({ status: 200, body: { blob: { size: 0 } } })
  })

  it('works the way the client uploads', async () => {
    const bytes = png()
    const { data } = await alice.agent.uploadBlob(bytes, { encoding: 'image/png' })
    expect(data.blob.size).toBe(bytes.length)
  })

  it('refuses what is too large, announced or not, and keeps nothing', async () => {
    const before = await files()
    const large = new Uint8Array(MAX_BYTES + 1)
    const announced = await call(server.url, UPLOAD, {
      token: alice.accessJwt,
      body: large,
      headers: { 'content-type': 'image/png' },
    })
    expect(announced.status).toBe(413)
    const streamed = await fetch(`${server.url}/xrpc/${UPLOAD}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${alice.accessJwt}`, 'content-type': 'image/png' },
      body: new Blob([large]).stream(),
      duplex: 'half',
    } as RequestInit)
    expect(streamed.status).toBe(413)
    expect(await files()).toEqual(before)
  })

  it('refuses strangers before reading', async () => {
    const answer = await call(server.url, UPLOAD, {
      body: 'x',
      headers: { 'content-type': 'text/plain' },
    })
    expect(answer).toMatchObject({ status: 401, body: { error: 'AuthMissing' } })
  })

  it('takes uploads of services that hold a token of the account for this method, and for no other', async () => {
    const database = openDatabase(server.folder)
    const { signingKey } = openAccountStore(database).getByDid(alice.did)!
    database.close()
    const token = (lxm: string, aud: string): Promise<string> =>
      createServiceJwt({
        iss: alice.did,
        aud,
        lxm,
        key: importPrivateKey('k256', signingKey),
        now: () => now,
      })
    const body = (): Uint8Array<ArrayBuffer> => Uint8Array.from(png())
    const options = async (lxm: string, aud: string): Promise<Parameters<typeof call>[2]> => ({
      token: await token(lxm, aud),
      body: body(),
      headers: { 'content-type': 'image/png' },
    })
    expect((await call(server.url, UPLOAD, await options(UPLOAD, server.pds.did))).status).toBe(200)
    expect(
      (
        await call(
          server.url,
          UPLOAD,
          await options('com.atproto.repo.createRecord', server.pds.did),
        )
      ).status,
    ).toBe(401)
    expect(
      (await call(server.url, UPLOAD, await options(UPLOAD, 'did:web:elsewhere.example.com')))
        .status,
    ).toBe(401)
    const elsewhere = await call(server.url, 'com.atproto.repo.createRecord', {
      token: await token('com.atproto.repo.createRecord', server.pds.did),
      json: { repo: alice.did, collection: 'com.example.media', record: {} },
    })
    expect(elsewhere).toMatchObject({ status: 401, body: { error: 'InvalidToken' } })
  })
})

describe('the life of a blob', () => {
  it('is served only while a record references it', async () => {
    const bytes = png()
    const blob = await upload(bytes)
    const cid = blob.ref.$link
    const missing = { status: 400, body: { error: 'BlobNotFound' } }
    expect(await fetchBlob(cid)).toMatchObject(missing)

    expect((await write({ blob }, 'one')).status).toBe(200)
    const response = await fetch(`${server.url}/xrpc/${GET}?did=${alice.did}&cid=${cid}`)
    expect(
      createHash('sha256')
        .update(Buffer.from(await response.arrayBuffer()))
        .digest('hex'),
    ).toBe(createHash('sha256').update(bytes).digest('hex'))
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'content-type': 'image/png',
      'content-length': String(bytes.length),
      'content-security-policy': "default-src 'none'; sandbox",
      'x-content-type-options': 'nosniff',
      'content-disposition': expect.stringContaining('attachment') as string,
    })
    const { data } = await alice.agent.com.atproto.sync.listBlobs({ did: alice.did })
    expect(data.cids).toContain(cid)

    expect((await remove('one')).status).toBe(200)
    expect(await fetchBlob(cid)).toMatchObject(missing)
  })

  it('keeps its type once a record says what it is', async () => {
    const bytes = Buffer.from(`plain words ${randomBytes(8).toString('hex')}`)
    await upload(bytes, 'application/octet-stream')
    const corrected = await upload(bytes, 'text/plain')
    expect(corrected.mimeType).toBe('text/plain')
    expect((await write({ blob: corrected }, 'typed')).status).toBe(200)
    expect((await upload(bytes, 'text/html')).mimeType).toBe('text/plain')
    expect((await fetchBlob(corrected.ref.$link)).headers.get('content-type')).toMatch(
      /^text\/plain/,
    )
  })

  it('collects what nobody references after the grace period, not before', async () => {
    const kept = await upload(png())
    const dropped = await upload(png())
    expect((await write({ blob: kept }, 'kept')).status).toBe(200)
    await pass(BLOB_GRACE_MS - 1)
    await server.pds.housekeep()
    expect(await files()).toEqual(expect.arrayContaining([kept.ref.$link, dropped.ref.$link]))
    // Touched again: its time starts anew.
    const again = png()
    const fresh = await upload(again)
    await pass(1)
    await server.pds.housekeep()
    const left = await files()
    expect(left).toContain(kept.ref.$link)
    expect(left).toContain(fresh.ref.$link)
    expect(left).not.toContain(dropped.ref.$link)
    expect((await write({ blob: dropped }, 'late')).body).toMatchObject({ error: 'BlobNotFound' })
    expect((await fetchBlob(kept.ref.$link)).status).toBe(200)
  })
})

describe('records that reference blobs', () => {
  it('refuses blobs that are not what was uploaded, and writes nothing', async () => {
    const blob = await upload(png())
    const unknown = {
      ...blob,
      ref: { $link: 'bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku' },
    }
    const cases: [object, string][] = [
      [unknown, 'BlobNotFound'],
      [{ ...blob, mimeType: 'image/jpeg' }, 'InvalidMimeType'],
      [{ ...blob, size: blob.size + 1 }, 'InvalidRequest'],
      [{ ...blob, size: -1 }, 'InvalidRequest'],
      [{ cid: blob.ref.$link, mimeType: blob.mimeType }, 'InvalidRequest'],
    ]
    for (const [bad, error] of cases) {
      expect(await write({ blob: bad }, 'bad')).toMatchObject({ status: 400, body: { error } })
    }
    const read = await call(server.url, 'com.atproto.repo.getRecord', {
      params: { repo: alice.did, collection: 'com.example.media', rkey: 'bad' },
    })
    expect(read).toMatchObject({ body: { error: 'RecordNotFound' } })
  })

  it("refuses blobs of somebody else's", async () => {
    const bob = await server.account('bob')
    const blob = await upload(png(), 'image/png', bob.accessJwt)
    expect(await write({ blob }, 'stolen')).toMatchObject({
      status: 400,
      body: { error: 'BlobNotFound' },
    })
  })

  it('holds avatars to the limits of their lexicon', async () => {
    const profile = (avatar: BlobJson): Promise<Answer> =>
      call(server.url, 'com.atproto.repo.putRecord', {
        token: alice.accessJwt,
        json: {
          repo: alice.did,
          collection: 'app.bsky.actor.profile',
          rkey: 'self',
          record: { $type: 'app.bsky.actor.profile', avatar },
        },
      })
    const text = await upload(Buffer.from('not a picture'), 'text/plain')
    expect(await profile(text)).toMatchObject({ status: 400, body: { error: 'InvalidMimeType' } })
    expect(await profile({ ...text, mimeType: 'image/png' })).toMatchObject({
      status: 400,
      body: { error: 'InvalidMimeType' },
    })
    expect((await profile(await upload(png()))).status).toBe(200)
  })
})

describe('reading blobs', () => {
  it.each([
    [
      'an unknown blob',
      { cid: 'bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku' },
      'BlobNotFound',
    ],
    ['a cid that is none', { cid: '../../pds.sqlite' }, 'InvalidRequest'],
    ['no cid', {}, 'InvalidRequest'],
    [
      'an account that is not here',
      {
        did: 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa',
        cid: 'bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku',
      },
      'RepoNotFound',
    ],
  ])('refuses %s', async (_name, params, error) => {
    const answer = await call(server.url, GET, { params: { did: alice.did, ...params } })
    expect(answer).toMatchObject({ status: 400, body: { error } })
  })

  it('pages through the list', async () => {
    const seen: string[] = []
    let cursor: string | undefined
    do {
      const { data } = await alice.agent.com.atproto.sync.listBlobs({
        did: alice.did,
        limit: 1,
        ...(cursor === undefined ? {} : { cursor }),
      })
      seen.push(...data.cids)
      cursor = data.cursor
    } while (cursor !== undefined)
    expect(seen.length).toBeGreaterThanOrEqual(2)
    expect(seen).toEqual([...new Set(seen)].toSorted())
  })
})
