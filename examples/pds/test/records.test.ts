import { randomBytes } from 'node:crypto'
import type { AtpAgent } from '@atproto/api'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { call, startTestPds, type TestAccount, type TestPds } from './harness.ts'

const POST = 'app.bsky.feed.post'
const CREATE = 'com.atproto.repo.createRecord'
const PUT = 'com.atproto.repo.putRecord'
const DELETE = 'com.atproto.repo.deleteRecord'
const APPLY = 'com.atproto.repo.applyWrites'

let server: TestPds
let alice: TestAccount
let bob: TestAccount

beforeAll(async () => {
  server = await startTestPds()
  alice = await server.account('alice')
  bob = await server.account('bob')
})
afterAll(() => server[Symbol.asyncDispose]())

function post(text: string): Record<string, unknown> {
  return { $type: POST, text, createdAt: new Date(Date.UTC(2026, 0, 1)).toISOString() }
}

async function rev(agent: AtpAgent, did: string): Promise<string> {
  const { data } = await agent.com.atproto.sync.getLatestCommit({ did })
  return data.rev
}

/** Runs work that must not touch alice's repo. */
async function expectUntouched<T>(work: () => Promise<T>): Promise<T> {
  const before = await rev(alice.agent, alice.did)
  const result = await work()
  expect(await rev(alice.agent, alice.did)).toBe(before)
  return result
}

describe('createRecord', () => {
  it('writes and reads back', async () => {
    const { data } = await alice.agent.com.atproto.repo.createRecord({
      repo: alice.did,
      collection: POST,
      record: post('hello'),
    })
    expect(data.uri).toMatch(new RegExp(`^at://${alice.did}/${POST}/[2-7a-z]{13}$`))
    expect(data.validationStatus).toBe('valid')
    const latest = await alice.agent.com.atproto.sync.getLatestCommit({ did: alice.did })
    expect(data.commit).toEqual({ cid: latest.data.cid, rev: latest.data.rev })
    const read = await bob.agent.com.atproto.repo.getRecord({
      repo: alice.handle,
      collection: POST,
      rkey: data.uri.split('/').at(-1) ?? '',
    })
    expect(read.data).toEqual({ uri: data.uri, cid: data.cid, value: post('hello') })
  })

  it('takes the handle for the repo, and adds the $type', async () => {
    const { $type: _type, ...record } = post('typeless')
    const answer = await call(server.url, CREATE, {
      token: alice.accessJwt,
      json: { repo: 'ALICE.test', collection: POST, record },
    })
    expect(answer.status).toBe(200)
    const { uri } = answer.body as { uri: string }
    const { data } = await alice.agent
      .getPost({ repo: alice.did, rkey: uri.split('/').at(-1) ?? '' })
      .then((value) => ({ data: value }))
    expect(data.value.$type).toBe(POST)
  })

  it('gives a profile the key its lexicon dictates', async () => {
    const { data } = await alice.agent.com.atproto.repo.createRecord({
      repo: alice.did,
      collection: 'app.bsky.actor.profile',
      record: { $type: 'app.bsky.actor.profile', displayName: 'Alice' },
    })
    expect(data.uri.endsWith('/self')).toBe(true)
  })

  it('keeps records of unknown lexicons, links and bytes included', async () => {
    const link = { $link: 'bafyreie5737gdxlw5i64vzichcalba3z2v5n6icifvx5xytvske7mr3hpm' }
    const record = {
      $type: 'com.example.thing',
      link,
      data: { $bytes: 'AQID' },
      deep: { a: [1, -2, null, true] },
    }
    const written = await call(server.url, CREATE, {
      token: alice.accessJwt,
      json: { repo: alice.did, collection: 'com.example.thing', rkey: 'pre:fix', record },
    })
    expect(written).toMatchObject({ status: 200, body: { validationStatus: 'unknown' } })
    const read = await call(server.url, 'com.atproto.repo.getRecord', {
      params: { repo: alice.did, collection: 'com.example.thing', rkey: 'pre:fix' },
    })
    expect((read.body as { value: unknown }).value).toEqual(record)
  })

  it('skips validation when asked, and says nothing about it', async () => {
    const answer = await call(server.url, CREATE, {
      token: alice.accessJwt,
      json: {
        repo: alice.did,
        collection: POST,
        rkey: 'not-a-tid',
        validate: false,
        record: { text: 5 },
      },
    })
    expect(answer.status).toBe(200)
    expect(answer.body).not.toHaveProperty('validationStatus')
  })

  const bad: [string, Record<string, unknown>, string?][] = [
    ['a record of another type', { record: { ...post('x'), $type: 'app.bsky.feed.like' } }],
    ['a record without a required field', { record: { $type: POST, text: 'x' } }],
    ['a field of the wrong kind', { record: { ...post('x'), text: 5 } }],
    ['text that is too long', { record: post('x'.repeat(3_001)) }],
    ['a bad datetime', { record: { ...post('x'), createdAt: 'yesterday' } }],
    ['a record that is an array', { record: [] }],
    ['a record that is null', { record: null }],
    ['no record', { record: undefined }],
    [
      'a float',
      { collection: 'com.example.thing', record: { $type: 'com.example.thing', x: 1.5 } },
    ],
    ['a float even unvalidated', { validate: false, record: { ...post('x'), n: 0.1 } }],
    ['a number beyond safe integers', { validate: false, record: { ...post('x'), n: 2 ** 60 } }],
    ['a malformed link', { validate: false, record: { ...post('x'), l: { $link: 'nope' } } }],
    ['malformed bytes', { validate: false, record: { ...post('x'), l: { $bytes: '???' } } }],
    [
      'a malformed blob',
      { validate: false, record: { ...post('x'), b: { $type: 'blob', size: 1 } } },
    ],
    [
      'an unknown lexicon when validation is demanded',
      { collection: 'com.example.thing', validate: true, record: { $type: 'com.example.thing' } },
    ],
    ['a collection that is no NSID', { collection: 'posts' }],
    ['a record key that is none', { rkey: 'a/b' }],
    ['the record key ..', { rkey: '..' }],
    ['an empty record key', { rkey: '' }],
    ['a key the lexicon does not allow', { rkey: 'mine' }],
    ['a record key of 513 characters', { validate: false, rkey: 'x'.repeat(513) }],
    ['a swapCommit that is no CID', { swapCommit: 'nope' }],
    [
      'another swapCommit',
      { swapCommit: 'bafyreie5737gdxlw5i64vzichcalba3z2v5n6icifvx5xytvske7mr3hpm' },
      'InvalidSwap',
    ],
    ['no repo', { repo: undefined }],
    ['no collection', { collection: undefined }],
  ]
  it.each(bad)('refuses %s and writes nothing', async (_name, change, error = 'InvalidRequest') => {
    const json = { repo: alice.did, collection: POST, record: post('x'), ...change }
    const answer = await expectUntouched(() =>
      call(server.url, CREATE, { token: alice.accessJwt, json }),
    )
    expect(answer).toMatchObject({
      status: 400,
      body: { error, message: expect.any(String) as string },
    })
  })

  it('refuses a key that is taken', async () => {
    const json = {
      repo: alice.did,
      collection: 'com.example.thing',
      rkey: 'once',
      record: { $type: 'com.example.thing' },
    }
    expect((await call(server.url, CREATE, { token: alice.accessJwt, json })).status).toBe(200)
    const again = await expectUntouched(() =>
      call(server.url, CREATE, { token: alice.accessJwt, json }),
    )
    expect(again).toMatchObject({ status: 400, body: { error: 'InvalidRequest' } })
  })

  it.each([
    ['of version 0', 'QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG'],
    [
      'with another hash',
      'bafkrgqhhyivzstcz3hhswshfjgy6ertgmnqeleynhwt4dlfsthi4hn7zgh4uvlsb5xncykzapi3ocd4lzogukir6ksdy6wzrnz6ohnv4aglcs',
    ],
  ])('refuses swaps with a CID %s', async (_name, cid) => {
    const target = { repo: alice.did, collection: 'com.example.thing', rkey: 'swap' }
    for (const [nsid, json] of [
      [CREATE, { ...target, record: {}, swapCommit: cid }],
      ['com.atproto.repo.putRecord', { ...target, record: {}, swapRecord: cid }],
      ['com.atproto.repo.deleteRecord', { ...target, swapRecord: cid }],
      ['com.atproto.repo.applyWrites', { repo: alice.did, writes: [], swapCommit: cid }],
    ] as const) {
      const answer = await expectUntouched(() =>
        call(server.url, nsid, { token: alice.accessJwt, json }),
      )
      expect(answer, nsid).toMatchObject({ status: 400, body: { error: 'InvalidRequest' } })
    }
  })

  it.each([
    ['without token', {}, 401, 'AuthMissing'],
    ['with nonsense for a token', { headers: { authorization: 'Bearer x' } }, 401, 'InvalidToken'],
    ['with another scheme', { headers: { authorization: 'Basic eDp5' } }, 401, 'InvalidToken'],
  ])('refuses writes %s', async (_name, options, status, error) => {
    const json = { repo: alice.did, collection: POST, record: post('x') }
    const answer = await expectUntouched(() => call(server.url, CREATE, { ...options, json }))
    expect(answer).toMatchObject({ status, body: { error } })
  })

  it("refuses writes to somebody else's repo", async () => {
    const json = { repo: alice.did, collection: POST, record: post('x') }
    const answer = await expectUntouched(() =>
      call(server.url, CREATE, { token: bob.accessJwt, json }),
    )
    expect(answer).toMatchObject({ status: 403, body: { error: 'Forbidden' } })
  })

  it.each([
    ['a body that is no JSON', '{"repo":', 'application/json', 400, 'InvalidRequest'],
    ['a body of another kind', 'hello', 'text/plain', 415, 'InvalidRequest'],
    ['an empty body', '', 'application/json', 400, 'InvalidRequest'],
    [
      'deep nesting',
      `{"record":${'['.repeat(5_000)}${']'.repeat(5_000)}}`,
      'application/json',
      400,
      'InvalidRequest',
    ],
    [
      'a body beyond a megabyte',
      `{"record":"${'x'.repeat(1_100_000)}"}`,
      'application/json',
      413,
      'PayloadTooLarge',
    ],
  ])('refuses %s', async (_name, body, type, status, error) => {
    const answer = await expectUntouched(() =>
      call(server.url, CREATE, { token: alice.accessJwt, body, headers: { 'content-type': type } }),
    )
    expect(answer).toMatchObject({ status, body: { error } })
  })
})

describe('putRecord', () => {
  const profile = (displayName: string): Record<string, unknown> => ({
    $type: 'app.bsky.actor.profile',
    displayName,
  })
  const put = (json: Record<string, unknown>): ReturnType<typeof call> =>
    call(server.url, PUT, {
      token: bob.accessJwt,
      json: { repo: bob.did, collection: 'app.bsky.actor.profile', rkey: 'self', ...json },
    })

  it('creates, replaces, and makes no commit for the same content', async () => {
    const created = await put({ record: profile('Bob'), swapRecord: null })
    expect(created).toMatchObject({ status: 200, body: { validationStatus: 'valid' } })
    const { cid } = created.body as { cid: string }
    const again = await put({ record: profile('Bob') })
    expect(again).toMatchObject({ status: 200, body: { cid } })
    expect(again.body).not.toHaveProperty('commit')
    const replaced = await put({ record: profile('Robert'), swapRecord: cid })
    expect(replaced.status).toBe(200)
    expect(replaced.body).toHaveProperty('commit')
  })

  it('works the way the client edits a profile', async () => {
    await bob.agent.upsertProfile((existing) => ({ ...existing, description: 'edited' }))
    const { data } = await bob.agent.com.atproto.repo.getRecord({
      repo: bob.did,
      collection: 'app.bsky.actor.profile',
      rkey: 'self',
    })
    expect(data.value).toMatchObject({ displayName: 'Robert', description: 'edited' })
  })

  it.each([
    ['null while the record exists', null],
    ['another CID', 'bafyreie5737gdxlw5i64vzichcalba3z2v5n6icifvx5xytvske7mr3hpm'],
  ])('refuses when swapRecord is %s', async (_name, swapRecord) => {
    const before = await rev(bob.agent, bob.did)
    expect(await put({ record: profile('x'), swapRecord })).toMatchObject({
      status: 400,
      body: { error: 'InvalidSwap' },
    })
    expect(await rev(bob.agent, bob.did)).toBe(before)
  })

  it('refuses a profile under another key', async () => {
    expect(await put({ rkey: 'other', record: profile('x') })).toMatchObject({
      status: 400,
      body: { error: 'InvalidRequest' },
    })
  })
})

describe('deleteRecord', () => {
  it('deletes, and deleting again changes nothing', async () => {
    const { uri } = await alice.agent.post({ text: 'soon gone' })
    const rkey = uri.split('/').at(-1) ?? ''
    const json = { repo: alice.did, collection: POST, rkey }
    const deleted = await call(server.url, DELETE, { token: alice.accessJwt, json })
    expect(deleted).toMatchObject({
      status: 200,
      body: { commit: { rev: expect.any(String) as string } },
    })
    const again = await expectUntouched(() =>
      call(server.url, DELETE, { token: alice.accessJwt, json }),
    )
    expect(again).toMatchObject({ status: 200, body: {} })
    const read = await call(server.url, 'com.atproto.repo.getRecord', {
      params: { repo: alice.did, collection: POST, rkey },
    })
    expect(read).toMatchObject({
      status: 400,
      body: {
        error: 'RecordNotFound',
        message: `Could not locate record: at://${alice.did}/${POST}/${rkey}`,
      },
    })
  })

  it('refuses a swap that does not hold', async () => {
    const { uri } = await alice.agent.post({ text: 'stays' })
    const rkey = uri.split('/').at(-1) ?? ''
    const swap = 'bafyreie5737gdxlw5i64vzichcalba3z2v5n6icifvx5xytvske7mr3hpm'
    for (const change of [{ swapRecord: swap }, { swapCommit: swap }]) {
      const json = { repo: alice.did, collection: POST, rkey, ...change }
      const answer = await expectUntouched(() =>
        call(server.url, DELETE, { token: alice.accessJwt, json }),
      )
      expect(answer).toMatchObject({ status: 400, body: { error: 'InvalidSwap' } })
    }
  })
})

describe('applyWrites', () => {
  const thing = 'com.example.batch'
  const create = (rkey: string, n = 0): object => ({
    $type: `${APPLY}#create`,
    collection: thing,
    rkey,
    value: { $type: thing, n },
  })
  const apply = (writes: readonly object[], more: object = {}): ReturnType<typeof call> =>
    call(server.url, APPLY, { token: alice.accessJwt, json: { repo: alice.did, writes, ...more } })

  it('applies a batch as one commit', async () => {
    expect((await apply([create('a'), create('b')])).status).toBe(200)
    const answer = await apply([
      create('c'),
      { $type: `${APPLY}#update`, collection: thing, rkey: 'a', value: { $type: thing, n: 1 } },
      { $type: `${APPLY}#delete`, collection: thing, rkey: 'b' },
      { $type: `${APPLY}#delete`, collection: thing, rkey: 'never' },
    ])
    expect(answer).toMatchObject({
      status: 200,
      body: {
        results: [
          {
            $type: `${APPLY}#createResult`,
            uri: `at://${alice.did}/${thing}/c`,
            validationStatus: 'unknown',
          },
          { $type: `${APPLY}#updateResult`, uri: `at://${alice.did}/${thing}/a` },
          { $type: `${APPLY}#deleteResult` },
          { $type: `${APPLY}#deleteResult` },
        ],
      },
    })
    const { data } = await alice.agent.com.atproto.repo.listRecords({
      repo: alice.did,
      collection: thing,
      reverse: true,
    })
    expect(data.records.map(({ uri, value }) => [uri.split('/').at(-1), value['n']])).toEqual([
      ['a', 1],
      ['c', 0],
    ])
  })

  it.each([
    [
      'an update of nothing',
      [
        create('x1'),
        { $type: `${APPLY}#update`, collection: thing, rkey: 'none', value: { $type: thing } },
      ],
      'InvalidRequest',
    ],
    ['a create of what exists', [create('x2'), create('a')], 'InvalidRequest'],
    ['two writes of one path', [create('x3'), create('x3', 1)], 'InvalidRequest'],
    [
      'an invalid record among valid ones',
      [create('x4'), { $type: `${APPLY}#create`, collection: POST, value: { $type: POST } }],
      'InvalidRequest',
    ],
    [
      'more than 200 writes',
      Array.from({ length: 201 }, (_, i) => create(`many${i}`)),
      'InvalidRequest',
    ],
    ['no writes', [], 'InvalidRequest'],
    [
      'a write of an unknown kind',
      [{ $type: `${APPLY}#merge`, collection: thing, rkey: 'x', value: {} }],
      'InvalidRequest',
    ],
  ])('refuses %s as a whole', async (_name, writes, error) => {
    const answer = await expectUntouched(() => apply(writes))
    expect(answer).toMatchObject({ status: 400, body: { error } })
  })

  it('takes 200 writes', async () => {
    const answer = await apply(Array.from({ length: 200 }, (_, i) => create(`full${i}`)))
    expect(answer.status).toBe(200)
  })

  it('refuses a commit whose blocks would be too large for the firehose', async () => {
    const filler = (size: number): string => randomBytes(size / 2).toString('hex')
    const answer = await expectUntouched(() =>
      apply(
        Array.from({ length: 3 }, (_, i) => ({
          $type: `${APPLY}#create`,
          collection: thing,
          rkey: `huge${i}`,
          value: { $type: thing, filler: filler(900_000) },
        })),
      ),
    )
    // The body itself is beyond what the server reads.
    expect(answer.status).toBe(413)
  })

  it('honours swapCommit', async () => {
    const { data } = await alice.agent.com.atproto.sync.getLatestCommit({ did: alice.did })
    expect((await apply([create('swap1')], { swapCommit: data.cid })).status).toBe(200)
    const stale = await expectUntouched(() => apply([create('swap2')], { swapCommit: data.cid }))
    expect(stale).toMatchObject({ status: 400, body: { error: 'InvalidSwap' } })
    const vain = await apply([{ $type: `${APPLY}#delete`, collection: thing, rkey: 'never' }], {
      swapCommit: data.cid,
    })
    expect(vain).toMatchObject({ status: 400, body: { error: 'InvalidSwap' } })
  })

  it('serialises writes that arrive together', async () => {
    const before = await alice.agent.com.atproto.repo.listRecords({
      repo: alice.did,
      collection: 'com.example.race',
      limit: 100,
    })
    expect(before.data.records).toEqual([])
    const answers = await Promise.all(
      Array.from({ length: 40 }, (_, i) =>
        call(server.url, CREATE, {
          token: alice.accessJwt,
          json: {
            repo: alice.did,
            collection: 'com.example.race',
            rkey: `r${i % 20}`,
            record: { $type: 'com.example.race', i },
          },
        }),
      ),
    )
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(20)
    expect(answers.filter(({ status }) => status === 400)).toHaveLength(20)
    const { data } = await alice.agent.com.atproto.repo.listRecords({
      repo: alice.did,
      collection: 'com.example.race',
      limit: 100,
    })
    expect(data.records).toHaveLength(20)
  })
})

describe('reading', () => {
  it('pages through a collection, newest key first, without gap or double', async () => {
    const collection = 'com.example.page'
    for (const rkey of ['a', 'b', 'c', 'd', 'e']) {
      await call(server.url, CREATE, {
        token: bob.accessJwt,
        json: { repo: bob.did, collection, rkey, record: { $type: collection } },
      })
    }
    const keys = async (reverse: boolean): Promise<string[]> => {
      const seen: string[] = []
      let cursor: string | undefined
      do {
        const { data } = await bob.agent.com.atproto.repo.listRecords({
          repo: bob.did,
          collection,
          limit: 2,
          reverse,
          ...(cursor === undefined ? {} : { cursor }),
        })
        seen.push(...data.records.map(({ uri }) => uri.split('/').at(-1) ?? ''))
        cursor = data.cursor
      } while (cursor !== undefined)
      return seen
    }
    expect(await keys(false)).toEqual(['e', 'd', 'c', 'b', 'a'])
    expect(await keys(true)).toEqual(['a', 'b', 'c', 'd', 'e'])
  })

  it('describes a repo by DID and by handle', async () => {
    for (const repo of [bob.did, 'BOB.test']) {
      const { data } = await bob.agent.com.atproto.repo.describeRepo({ repo })
      expect(data).toMatchObject({
        did: bob.did,
        handle: 'bob.test',
        handleIsCorrect: true,
        didDoc: { id: bob.did },
        collections: ['app.bsky.actor.profile', 'com.example.page'],
      })
    }
  })

  const missing = { repo: 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa', collection: POST, rkey: 'x' }
  it.each([
    ['getRecord of a repo elsewhere', 'com.atproto.repo.getRecord', missing, 'RecordNotFound'],
    [
      'getRecord without rkey',
      'com.atproto.repo.getRecord',
      { repo: 'alice.test', collection: POST },
      'InvalidRequest',
    ],
    [
      'getRecord of another version',
      'com.atproto.repo.getRecord',
      {
        repo: 'alice.test',
        collection: 'app.bsky.actor.profile',
        rkey: 'self',
        cid: 'bafyreie5737gdxlw5i64vzichcalba3z2v5n6icifvx5xytvske7mr3hpm',
      },
      'RecordNotFound',
    ],
    [
      'getRecord with a bad cid',
      'com.atproto.repo.getRecord',
      { repo: 'alice.test', collection: POST, rkey: 'x', cid: 'nope' },
      'InvalidRequest',
    ],
    ['listRecords of nobody', 'com.atproto.repo.listRecords', missing, 'RepoNotFound'],
    [
      'listRecords with limit 0',
      'com.atproto.repo.listRecords',
      { repo: 'alice.test', collection: POST, limit: '0' },
      'InvalidRequest',
    ],
    [
      'listRecords with limit 101',
      'com.atproto.repo.listRecords',
      { repo: 'alice.test', collection: POST, limit: '101' },
      'InvalidRequest',
    ],
    [
      'listRecords with a limit in words',
      'com.atproto.repo.listRecords',
      { repo: 'alice.test', collection: POST, limit: 'ten' },
      'InvalidRequest',
    ],
    [
      'describeRepo of nobody',
      'com.atproto.repo.describeRepo',
      { repo: 'nobody.test' },
      'RepoNotFound',
    ],
  ])('refuses %s', async (_name, nsid, params, error) => {
    expect(
      await call(server.url, nsid, { params: params as Record<string, string> }),
    ).toMatchObject({ status: 400, body: { error } })
  })
})

describe('routing', () => {
  it('says 501 for methods nobody has, 405 for the wrong verb, 426 for a stream without upgrade', async () => {
    expect(await call(server.url, 'com.example.nothing')).toMatchObject({
      status: 501,
      body: { error: 'MethodNotImplemented' },
    })
    expect((await call(server.url, CREATE, { method: 'GET' })).status).toBe(405)
    expect((await call(server.url, 'com.atproto.repo.listRecords', { json: {} })).status).toBe(405)
    expect((await call(server.url, 'com.atproto.sync.subscribeRepos')).status).toBe(426)
  })

  it('allows any origin', async () => {
    const answer = await call(server.url, 'com.atproto.server.describeServer', {
      headers: { origin: 'https://app.example.com' },
    })
    expect(answer.headers.get('access-control-allow-origin')).toBe('*')
  })
})

describe('preferences', () => {
  const preferences = [
    { $type: 'app.bsky.actor.defs#adultContentPref', enabled: true },
    { $type: 'app.bsky.actor.defs#savedFeedsPrefV2', items: [] },
  ]

  it('keeps what the client puts, in order', async () => {
    expect((await alice.agent.app.bsky.actor.getPreferences()).data.preferences).toEqual([])
    await alice.agent.app.bsky.actor.putPreferences({ preferences })
    expect((await alice.agent.app.bsky.actor.getPreferences()).data.preferences).toEqual(
      preferences,
    )
    expect((await bob.agent.app.bsky.actor.getPreferences()).data.preferences).toEqual([])
  })

  it.each([
    ['a preference without type', [{ enabled: true }]],
    ['text that is no Unicode', [{ $type: 'app.bsky.actor.defs#newPref', text: '\ud800' }]],
    ['a preference of another namespace', [{ $type: 'com.example.pref' }]],
    [
      'a preference of the wrong shape',
      [{ $type: 'app.bsky.actor.defs#adultContentPref', enabled: 'yes' }],
    ],
  ])('refuses %s and keeps the old ones', async (_name, bad) => {
    const answer = await call(server.url, 'app.bsky.actor.putPreferences', {
      token: alice.accessJwt,
      json: { preferences: bad },
    })
    expect(answer).toMatchObject({ status: 400, body: { error: 'InvalidRequest' } })
    expect((await alice.agent.app.bsky.actor.getPreferences()).data.preferences).toEqual(
      preferences,
    )
  })
})
