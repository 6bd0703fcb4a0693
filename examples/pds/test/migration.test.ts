import { randomBytes } from 'node:crypto'
import { AtpAgent } from '@atproto/api'
import { decodeEvent, type SyncEvent } from '@skywright/firehose'
import { openSqliteEventLog } from '@skywright/firehose/sqlite'
import { createResolver, getSigningKey } from '@skywright/identity'
import { verifyRepo } from '@skywright/repo'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openDatabase } from '../src/database.ts'
import {
  call,
  collectCodes,
  createPlcFetch,
  PASSWORD,
  PLC_URL,
  startTestPds,
  type TestAccount,
  type TestPds,
} from './harness.ts'

const CREATE = 'com.atproto.server.createAccount'
const IMPORT = 'com.atproto.repo.importRepo'
const fetch = createPlcFetch()
const { log, codes } = collectCodes()
let from: TestPds
let to: TestPds
let alice: TestAccount

beforeAll(async () => {
  from = await startTestPds({}, { fetch, log })
  to = await startTestPds({ handleDomains: ['.new.test'] }, { fetch })
  alice = await from.account('alice')
})
afterAll(async () => {
  await from[Symbol.asyncDispose]()
  await to[Symbol.asyncDispose]()
})

async function proof(account: TestAccount, lxm = CREATE, aud = to.pds.did): Promise<string> {
  const { data } = await account.agent.com.atproto.server.getServiceAuth({ aud, lxm })
  return data.token
}

function moveIn(token: string | undefined, change: object = {}): ReturnType<typeof call> {
  return call(to.url, CREATE, {
    ...(token === undefined ? {} : { token }),
    json: { did: alice.did, handle: 'alice.new.test', password: PASSWORD, ...change },
  })
}

/** Hands an account over as its owner would: the old server signs the change, the new one enters it. */
async function pointIdentityAt(agent: AtpAgent): Promise<void> {
  const { data: credentials } = await agent.com.atproto.identity.getRecommendedDidCredentials()
  const old = alice.agent.com.atproto.identity
  const sign = (change: object): ReturnType<typeof call> =>
    call(from.url, 'com.atproto.identity.signPlcOperation', {
      token: alice.accessJwt,
      json: { ...credentials, ...change },
    })
  await old.requestPlcOperationSignature()
  const token = codes.at(-1) ?? ''
  for (const wrong of [{}, { token: '' }, { token: 'AAAAA-AAAAA' }]) {
    expect(await sign(wrong)).toMatchObject({ status: 400, body: { error: 'InvalidToken' } })
  }
  for (const wrong of [
    { rotationKeys: [] },
    { rotationKeys: ['did:key:nonsense'] },
    { verificationMethods: [1] },
    { services: { atproto_pds: 'https://pds.example.com' } },
  ]) {
    expect(await sign({ token, ...wrong })).toMatchObject({
      status: 400,
      body: { error: 'InvalidRequest' },
    })
  }
  const { data } = await old.signPlcOperation({ token, ...credentials })
  expect(await sign({ token })).toMatchObject({ status: 400, body: { error: 'InvalidToken' } })

  const submit = (operation: object): ReturnType<typeof call> =>
    call(to.url, 'com.atproto.identity.submitPlcOperation', {
      token: agent.session?.accessJwt ?? '',
      json: { operation },
    })
  for (const change of [
    { rotationKeys: ['did:key:zQ3shhCGUqDKjStzuDxPkTxN6ujddP4RkEKJJouJGRRkaLGbg'] },
    { alsoKnownAs: ['at://other.new.test'] },
    { verificationMethods: {} },
    { services: {} },
    { type: 'plc_tombstone' },
    { sig: 'AAAA' },
  ]) {
    expect(await submit({ ...data.operation, ...change })).toMatchObject({
      status: 400,
      body: { error: 'InvalidRequest' },
    })
  }
  expect((await submit(data.operation)).status).toBe(200)
}

describe('moving an account here', () => {
  it('needs proof of the identity, for this server and this method', async () => {
    const bob = await from.account('bob')
    for (const token of [
      undefined,
      await proof(bob),
      await proof(alice, 'com.atproto.repo.uploadBlob'),
      await proof(alice, CREATE, 'did:web:elsewhere.example.com'),
      alice.accessJwt,
    ]) {
      expect((await moveIn(token)).status).toBe(401)
    }
    expect((await to.agent().com.atproto.sync.listRepos()).data.repos).toEqual([])
  })

  it('takes records, blobs and settings along, and the first thing the network sees is provable', async () => {
    const image = await alice.agent.uploadBlob(randomBytes(300), { encoding: 'image/png' })
    await alice.agent.upsertProfile(() => ({ displayName: 'Alice', avatar: image.data.blob }))
    for (let i = 0; i < 20; i++) await alice.agent.post({ text: `post ${i}` })

    const created = await moveIn(await proof(alice))
    expect(created).toMatchObject({
      status: 200,
      body: { did: alice.did, handle: 'alice.new.test' },
    })
    const { accessJwt, refreshJwt } = created.body as { accessJwt: string; refreshJwt: string }
    const agent = new AtpAgent({ service: to.url })
    await agent.resumeSession({
      did: alice.did,
      handle: 'alice.new.test',
      accessJwt,
      refreshJwt,
      active: false,
    })
    const early = await call(to.url, 'com.atproto.server.activateAccount', {
      token: accessJwt,
      method: 'POST',
    })
    expect(early).toMatchObject({ status: 400, body: { error: 'InvalidRequest' } })

    const { data: car } = await alice.agent.com.atproto.sync.getRepo({ did: alice.did })
    const damaged = Uint8Array.from(car)
    damaged[car.length - 10]! ^= 1
    const bobs = await from.agent().com.atproto.sync.listRepos()
    const bobsDid = bobs.data.repos.find(({ did }) => did !== alice.did)?.did ?? ''
    const { data: foreign } = await alice.agent.com.atproto.sync.getRepo({ did: bobsDid })
    const send = (bytes: Uint8Array): ReturnType<typeof call> =>
      call(to.url, IMPORT, {
        token: accessJwt,
        body: Uint8Array.from(bytes),
        headers: { 'content-type': 'application/vnd.ipld.car' },
      })
    for (const bad of [
      damaged,
      car.subarray(0, car.length / 2),
      randomBytes(100),
      new Uint8Array(0),
      foreign,
    ]) {
      expect(await send(bad)).toMatchObject({ status: 400, body: { error: 'InvalidRequest' } })
    }
    const unmeasured = await globalThis.fetch(`${to.url}/xrpc/${IMPORT}`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${accessJwt}`,
        'content-type': 'application/vnd.ipld.car',
      },
      body: new Blob([Uint8Array.from(car)]).stream(),
      duplex: 'half',
    } as RequestInit)
    expect(unmeasured.status).toBe(400)
    expect((await send(car)).status).toBe(200)
    expect((await send(car)).status).toBe(200)

    const missing = await agent.com.atproto.repo.listMissingBlobs()
    expect(missing.data.blobs).toMatchObject([
      { recordUri: `at://${alice.did}/app.bsky.actor.profile/self` },
    ])
    for (const { cid } of missing.data.blobs) {
      const blob = await alice.agent.com.atproto.sync.getBlob({ did: alice.did, cid })
      await agent.uploadBlob(blob.data, { encoding: blob.headers['content-type'] ?? '' })
    }
    expect((await agent.com.atproto.repo.listMissingBlobs()).data.blobs).toEqual([])

    await pointIdentityAt(agent)
    await agent.com.atproto.server.activateAccount()
    await alice.agent.com.atproto.server.deactivateAccount({})
    const { data: status } = await agent.com.atproto.server.checkAccountStatus()
    expect(status).toMatchObject({
      activated: true,
      validDid: true,
      indexedRecords: 21,
      expectedBlobs: 1,
      importedBlobs: 1,
    })

    const key = getSigningKey(
      (await createResolver({ plcUrl: PLC_URL, fetch, dev: true }).resolveDid(alice.did)).document,
    )!
    const database = openDatabase(to.folder)
    await using log = openSqliteEventLog({ database })
    const events = (await log.read(0)).map(({ frame }) => decodeEvent(frame))
    database.close()
    expect(events.map(({ type }) => type)).toEqual(['identity', 'account', 'sync'])
    const sync = events[2] as SyncEvent
    const moved = await verifyRepo(
      (await agent.com.atproto.sync.getRepo({ did: alice.did })).data,
      { did: alice.did, key },
    )
    expect(moved.rev).toBe(sync.rev)
    expect(moved.recordCount).toBe(21)

    await agent.post({ text: 'hello from here' })
    expect(await send(car)).toMatchObject({ status: 400, body: { error: 'InvalidRequest' } })
  })
})
