import { once } from 'node:events'
import { readdir } from 'node:fs/promises'
import { request, type IncomingMessage } from 'node:http'
import { join } from 'node:path'
import { decodeEvent, type WireEvent } from '@skywright/firehose'
import { createResolver, getHandle, getSigningKey } from '@skywright/identity'
import { verifyRepo } from '@skywright/repo'
import { openSqliteRepoStore } from '@skywright/repo/sqlite'
import { openSqliteEventLog } from '@skywright/firehose/sqlite'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openDatabase } from '../src/database.ts'
import { devConfig, startPds } from '../src/index.ts'
import {
  call,
  collectCodes,
  createPlcFetch,
  PASSWORD,
  PLC_URL,
  startTestPds,
  temporaryFolder,
  type TestAccount,
  type TestPds,
} from './harness.ts'

let server: TestPds
let alice: TestAccount
let bob: TestAccount

beforeAll(async () => {
  server = await startTestPds()
  alice = await server.account('alice')
  bob = await server.account('bob')
})
afterAll(() => server[Symbol.asyncDispose]())

/** What was published about an account, read from the database. */
async function published(did: string, folder = server.folder): Promise<WireEvent[]> {
  const database = openDatabase(folder)
  try {
    await using log = openSqliteEventLog({ database })
    const entries = await log.read(0, { maxEvents: 10_000 })
    return entries.filter((entry) => entry.did === did).map(({ frame }) => decodeEvent(frame))
  } finally {
    database.close()
  }
}

function post(nsid: string, token: string, json?: unknown): ReturnType<typeof call> {
  return call(server.url, nsid, { token, method: 'POST', ...(json === undefined ? {} : { json }) })
}

describe('deactivation', () => {
  it('hides the account from everybody but its owner, and activation brings it back', async () => {
    await alice.agent.post({ text: 'before' })
    expect((await post('com.atproto.server.deactivateAccount', alice.accessJwt, {})).status).toBe(
      200,
    )
    expect((await published(alice.did)).at(-1)).toMatchObject({
      type: 'account',
      active: false,
      status: 'deactivated',
    })

    const did = alice.did
    for (const method of ['getRepo', 'getLatestCommit', 'listBlobs']) {
      const nsid = `com.atproto.sync.${method}`
      expect(await call(server.url, nsid, { params: { did } })).toMatchObject({
        status: 400,
        body: { error: 'RepoDeactivated' },
      })
      expect(
        (await call(server.url, nsid, { params: { did }, token: alice.accessJwt })).status,
      ).toBe(200)
      expect((await call(server.url, nsid, { params: { did }, token: bob.accessJwt })).status).toBe(
        400,
      )
    }
    const status = await bob.agent.com.atproto.sync.getRepoStatus({ did })
    expect(status.data).toEqual({ did, active: false, status: 'deactivated' })
    const listed = await bob.agent.com.atproto.sync.listRepos()
    expect(listed.data.repos.find((repo) => repo.did === did)).toMatchObject({
      active: false,
      status: 'deactivated',
    })
    const session = await call(server.url, 'com.atproto.server.getSession', {
      token: alice.accessJwt,
    })
    expect(session.body).toMatchObject({ active: false, status: 'deactivated' })
    const write = await post('com.atproto.repo.createRecord', alice.accessJwt, {
      repo: did,
      collection: 'com.example.x',
      record: {},
    })
    expect(write).toMatchObject({ status: 401, body: { error: 'AccountDeactivated' } })
    // Once more changes nothing.
    const events = (await published(did)).length
    await post('com.atproto.server.deactivateAccount', alice.accessJwt, {})
    expect(await published(did)).toHaveLength(events)

    expect((await post('com.atproto.server.activateAccount', alice.accessJwt)).status).toBe(200)
    const after = (await published(did)).slice(events)
    expect(after.map(({ type }) => type)).toEqual(['identity', 'account', 'sync'])
    expect(after[1]).toMatchObject({ active: true })
    const latest = await bob.agent.com.atproto.sync.getLatestCommit({ did })
    expect(after[2]).toMatchObject({ rev: latest.data.rev })
    await alice.agent.post({ text: 'back again' })
  })

  it('publishes nothing after the announcement, however many writes are under way', async () => {
    const carol = await server.account('carol')
    const write = (i: number): ReturnType<typeof call> =>
      post('com.atproto.repo.createRecord', carol.accessJwt, {
        repo: carol.did,
        collection: 'com.example.race',
        rkey: `r${i}`,
        record: {},
      })
    const answers = await Promise.all([
      ...Array.from({ length: 10 }, (_, i) => write(i)),
      post('com.atproto.server.deactivateAccount', carol.accessJwt, {}),
      ...Array.from({ length: 10 }, (_, i) => write(i + 10)),
    ])
    expect(answers[10]?.status).toBe(200)
    expect((await published(carol.did)).at(-1)).toMatchObject({ type: 'account', active: false })
  })
})

describe('updateHandle', () => {
  it('changes the DID document, the account and the stream', async () => {
    await bob.agent.com.atproto.identity.updateHandle({ handle: 'Robert.test' })
    const resolver = createResolver({ plcUrl: PLC_URL, fetch: server.fetch, dev: true })
    expect(getHandle((await resolver.resolveDid(bob.did)).document)).toBe('robert.test')
    expect((await server.agent().resolveHandle({ handle: 'robert.test' })).data.did).toBe(bob.did)
    expect((await published(bob.did)).at(-1)).toMatchObject({
      type: 'identity',
      handle: 'robert.test',
    })
    const old = await call(server.url, 'com.atproto.identity.resolveHandle', {
      params: { handle: 'bob.test' },
    })
    expect(old.status).toBe(400)
  })

  it.each([
    ['a handle of somebody else', 'alice.test', 'HandleNotAvailable'],
    ['a reserved handle', 'admin.test', 'HandleNotAvailable'],
    ['a handle that is none', 'x', 'InvalidRequest'],
    ['a handle of two names', 'a.b.test', 'InvalidHandle'],
  ])('refuses %s', async (_name, handle, error) => {
    const answer = await post('com.atproto.identity.updateHandle', bob.accessJwt, { handle })
    expect(answer).toMatchObject({ status: 400, body: { error } })
  })
})

describe('deleteAccount', () => {
  it('takes password and code, leaves nothing, and is the last the network hears', async () => {
    const { log, codes } = collectCodes()
    await using other = await startTestPds({}, { log, fetch: server.fetch })
    const gone = await other.account('gone')
    const { data } = await gone.agent.uploadBlob(Buffer.from('blob'), { encoding: 'text/plain' })
    const record = { $type: 'com.example.thing', blob: data.blob }
    await gone.agent.com.atproto.repo.createRecord({
      repo: gone.did,
      collection: 'com.example.thing',
      record,
    })
    await gone.agent.app.bsky.actor.putPreferences({
      preferences: [{ $type: 'app.bsky.actor.defs#adultContentPref', enabled: true }],
    })
    await gone.agent.com.atproto.server.requestAccountDelete()
    const [token = ''] = codes
    const remove = (change: object = {}): ReturnType<typeof call> =>
      call(other.url, 'com.atproto.server.deleteAccount', {
        json: { did: gone.did, password: PASSWORD, token, ...change },
      })
    expect(await remove({ password: 'wrong password' })).toMatchObject({ status: 401 })
    expect(await remove({ did: 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa' })).toMatchObject({ status: 401 })
    expect(await remove({ token: 'AAAAA-AAAAA' })).toMatchObject({
      status: 400,
      body: { error: 'InvalidToken' },
    })
    expect((await gone.agent.com.atproto.server.getSession()).data.did).toBe(gone.did)

    const writes = Array.from({ length: 10 }, (_, i) =>
      call(other.url, 'com.atproto.repo.createRecord', {
        token: gone.accessJwt,
        json: { repo: gone.did, collection: 'com.example.thing', record: { i } },
      }),
    )
    expect((await remove()).status).toBe(200)
    for (const { status } of await Promise.all(writes)) expect([200, 401]).toContain(status)
    expect((await published(gone.did, other.folder)).at(-1)).toMatchObject({
      type: 'account',
      active: false,
      status: 'deleted',
    })
    expect(await remove()).toMatchObject({ status: 401 })
    const { did } = gone
    for (const [nsid, params] of [
      ['com.atproto.sync.getRepo', { did }],
      ['com.atproto.sync.getRepoStatus', { did }],
      ['com.atproto.repo.describeRepo', { repo: did }],
    ] as const) {
      expect(await call(other.url, nsid, { params })).toMatchObject({
        status: 400,
        body: { error: 'RepoNotFound' },
      })
    }
    expect(
      await call(other.url, 'com.atproto.server.getSession', { token: gone.accessJwt }),
    ).toMatchObject({ status: 401 })
    expect(
      await call(other.url, 'com.atproto.server.refreshSession', {
        method: 'POST',
        token: gone.refreshJwt,
      }),
    ).toMatchObject({ status: 401 })
    expect((await other.agent().com.atproto.sync.listRepos()).data.repos).toEqual([])
    expect(await readdir(join(other.folder, 'blobs'))).toEqual(['incoming'])
    const database = openDatabase(other.folder)
    try {
      for (const table of ['account', 'blob', 'preference', 'session_refresh', 'confirmation']) {
        const count = database.prepare(`SELECT count(*) AS count FROM ${table}`).get()
        expect(count?.['count'], table).toBe(0)
      }
    } finally {
      database.close()
    }
    // The name is free again.
    expect((await other.account('gone')).did).not.toBe(did)
  })
})

describe('a deletion that a crash interrupted', () => {
  it('is finished at the next start', async () => {
    await using folder = await temporaryFolder()
    const config = devConfig(folder.path, PLC_URL)
    const { fetch } = server
    const json = { handle: 'half.test', email: 'half@example.com', password: PASSWORD }
    {
      await using first = await startPds(config, { fetch })
      const signUp = await call(first.url, 'com.atproto.server.createAccount', { json })
      expect(signUp.status).toBe(200)
      const { did, accessJwt } = signUp.body as { did: string; accessJwt: string }
      await call(first.url, 'app.bsky.actor.putPreferences', {
        token: accessJwt,
        json: { preferences: [{ $type: 'app.bsky.actor.defs#adultContentPref', enabled: true }] },
      })
      const database = openDatabase(folder.path)
      database.exec("UPDATE account SET status = 'deactivated'")
      await openSqliteRepoStore({ database }).deleteRepo(did)
      database.close()
    }
    await using second = await startPds(config, { fetch })
    const database = openDatabase(folder.path)
    for (const table of ['account', 'preference', 'session_refresh']) {
      expect(database.prepare(`SELECT * FROM ${table}`).all(), table).toEqual([])
    }
    database.close()
    expect((await call(second.url, 'com.atproto.server.createAccount', { json })).status).toBe(200)
  })
})

describe('changes that race', () => {
  it('lets one of two accounts have a handle, and the directory never hears of the other', async () => {
    const plc = createPlcFetch()
    let release = (): void => undefined
    let gate: Promise<void> | undefined
    let operations = 0
    await using other = await startTestPds(
      {},
      {
        async fetch(input, init) {
          const request = new Request(input, init)
          if (request.method === 'POST') {
            operations++
            await gate
          }
          return plc(request)
        },
      },
    )
    const rivals = [await other.account('dora'), await other.account('emil')]
    operations = 0
    gate = new Promise((resolve) => (release = resolve))
    const answers = rivals.map(({ accessJwt }) =>
      call(other.url, 'com.atproto.identity.updateHandle', {
        token: accessJwt,
        json: { handle: 'prize.test' },
      }),
    )
    const signUp = call(other.url, 'com.atproto.server.createAccount', {
      json: { handle: 'Prize.test', password: PASSWORD },
    })
    await expect.poll(() => operations).toBeGreaterThan(0)
    // Round trips enough for whoever does not wait to have arrived at the gate.
    for (let i = 0; i < 50; i++) await call(other.url, '_health')
    release()
    const all = await Promise.all([...answers, signUp])
    expect(all.filter(({ status }) => status === 200)).toHaveLength(1)
    expect(all.filter(({ status }) => status === 400)).toHaveLength(2)
    expect(operations).toBe(1)
  })

  it('does not import into an account that was activated meanwhile', async () => {
    const erin = await server.account('erin')
    const { uri } = await erin.agent.post({ text: 'gone soon' })
    const { data } = await erin.agent.com.atproto.sync.getRepo({ did: erin.did })
    const car = Uint8Array.from(data)
    await erin.agent.deletePost(uri)
    await erin.agent.com.atproto.server.deactivateAccount({})
    const send = (): { finish(): void; status: Promise<number> } => {
      const sending = request(`${server.url}/xrpc/com.atproto.repo.importRepo`, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${erin.accessJwt}`,
          'content-type': 'application/vnd.ipld.car',
          'content-length': car.length,
        },
      })
      sending.flushHeaders()
      const status = (once(sending, 'response') as Promise<[IncomingMessage]>).then(
        ([response]) => {
          response.resume()
          return response.statusCode ?? 0
        },
      )
      return { finish: () => void sending.end(car), status }
    }
    const arrived = async (): Promise<void> => {
      for (let i = 0; i < 30; i++) await call(server.url, '_health')
    }

    // One import is under way, the activation waits for it, and another import behind that.
    const first = send()
    await arrived()
    const activation = post('com.atproto.server.activateAccount', erin.accessJwt)
    await arrived()
    const second = send()
    second.finish()
    await arrived()
    first.finish()
    expect(await first.status).toBe(200)
    expect((await activation).status).toBe(200)
    expect(await second.status).toBe(400)
    const head = await erin.agent.com.atproto.sync.getLatestCommit({ did: erin.did })
    expect((await published(erin.did)).at(-1)).toMatchObject({ type: 'sync', rev: head.data.rev })
  })
})

describe('credentials and status', () => {
  it('recommends what the DID document says already', async () => {
    const { data } = await alice.agent.com.atproto.identity.getRecommendedDidCredentials()
    const resolver = createResolver({ plcUrl: PLC_URL, fetch: server.fetch, dev: true })
    const { document } = await resolver.resolveDid(alice.did)
    expect(data).toMatchObject({
      alsoKnownAs: ['at://alice.test'],
      verificationMethods: { atproto: getSigningKey(document)?.didKey },
      services: { atproto_pds: { endpoint: server.url } },
      rotationKeys: [expect.stringMatching(/^did:key:/)],
    })
  })

  it('counts what is there', async () => {
    const { data } = await alice.agent.com.atproto.server.checkAccountStatus()
    const { data: car } = await alice.agent.com.atproto.sync.getRepo({ did: alice.did })
    const resolver = createResolver({ plcUrl: PLC_URL, fetch: server.fetch, dev: true })
    const key = getSigningKey((await resolver.resolveDid(alice.did)).document)!
    const repo = await verifyRepo(car, { did: alice.did, key })
    expect(data).toEqual({
      activated: true,
      validDid: true,
      repoCommit: repo.cid.toString(),
      repoRev: repo.rev,
      repoBlocks: 1 + repo.nodeCount + repo.recordCount,
      indexedRecords: repo.recordCount,
      privateStateValues: 0,
      expectedBlobs: 0,
      importedBlobs: 0,
    })
    expect((await alice.agent.com.atproto.repo.listMissingBlobs()).data.blobs).toEqual([])
  })
})
