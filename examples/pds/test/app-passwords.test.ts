import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { call, PASSWORD, startTestPds, type TestAccount, type TestPds } from './harness.ts'

const SERVER = 'com.atproto.server'
const PERSONAL = {
  $type: 'app.bsky.actor.defs#personalDetailsPref',
  birthDate: '1990-01-01T00:00:00Z',
}
const ADULT = { $type: 'app.bsky.actor.defs#adultContentPref', enabled: true }
let server: TestPds
let alice: TestAccount

beforeAll(async () => {
  server = await startTestPds()
  alice = await server.account('alice')
})
afterAll(() => server[Symbol.asyncDispose]())

interface Tokens {
  readonly accessJwt: string
  readonly refreshJwt: string
}

async function create(name: string, privileged?: boolean): Promise<string> {
  const { data } = await alice.agent.com.atproto.server.createAppPassword({
    name,
    ...(privileged === undefined ? {} : { privileged }),
  })
  expect(data).toMatchObject({ name, privileged: privileged ?? false })
  expect(data.password).toMatch(/^([a-z2-7]{4}-){3}[a-z2-7]{4}$/)
  return data.password
}

async function signIn(password: string): Promise<Tokens> {
  const answer = await call(server.url, `${SERVER}.createSession`, {
    json: { identifier: 'alice.test', password },
  })
  expect(answer.status).toBe(200)
  return answer.body as Tokens
}

function scopeIn(jwt: string): unknown {
  return (
    JSON.parse(Buffer.from(jwt.split('.')[1] ?? '', 'base64url').toString()) as { scope: unknown }
  ).scope
}

describe('app passwords', () => {
  it('sign in, write, and keep their scope through refreshing', async () => {
    const { accessJwt, refreshJwt } = await signIn(await create('phone'))
    expect(scopeIn(accessJwt)).toBe('com.atproto.appPass')
    const written = await call(server.url, 'com.atproto.repo.createRecord', {
      token: accessJwt,
      json: { repo: alice.did, collection: 'com.example.thing', record: {} },
    })
    expect(written.status).toBe(200)
    const refreshed = await call(server.url, `${SERVER}.refreshSession`, {
      method: 'POST',
      token: refreshJwt,
    })
    expect(scopeIn((refreshed.body as Tokens).accessJwt)).toBe('com.atproto.appPass')
    expect(scopeIn((await signIn(PASSWORD)).accessJwt)).toBe('com.atproto.access')
    expect(scopeIn((await signIn(await create('messages', true))).accessJwt)).toBe(
      'com.atproto.appPassPrivileged',
    )
  })

  it.each([
    [`${SERVER}.createAppPassword`, { name: 'another' }],
    [`${SERVER}.listAppPasswords`, undefined],
    [`${SERVER}.revokeAppPassword`, { name: 'phone' }],
    [`${SERVER}.deactivateAccount`, {}],
    [`${SERVER}.activateAccount`, {}],
    [`${SERVER}.requestAccountDelete`, {}],
    ['com.atproto.identity.updateHandle', { handle: 'other.test' }],
  ])('cannot call %s', async (nsid, json) => {
    const { accessJwt } = await signIn(await create(`for ${nsid}`, true))
    const answer = await call(server.url, nsid, {
      token: accessJwt,
      // These take no body.
      ...(nsid.endsWith('activateAccount') || nsid.endsWith('Delete')
        ? { method: 'POST' }
        : json === undefined
          ? {}
          : { json }),
    })
    expect(answer).toMatchObject({ status: 403, body: { error: 'Forbidden' } })
    expect((await alice.agent.com.atproto.server.getSession()).data).toMatchObject({
      handle: 'alice.test',
      active: true,
    })
  })

  it('cannot delete the account', async () => {
    const password = await create('deleter')
    const answer = await call(server.url, `${SERVER}.deleteAccount`, {
      json: { did: alice.did, password, token: 'AAAAA-AAAAA' },
    })
    expect(answer.status).toBe(401)
  })

  it('reach direct messages only when privileged', async () => {
    for (const [privileged, status] of [
      [false, 403],
      [true, 200],
    ] as const) {
      const { accessJwt } = await signIn(await create(`chat ${privileged}`, privileged))
      for (const [lxm, expected] of [
        ['chat.bsky.convo.listConvos', status],
        ['com.atproto.server.createAccount', status],
        ['app.bsky.feed.getTimeline', 200],
      ] as const) {
        const answer = await call(server.url, `${SERVER}.getServiceAuth`, {
          token: accessJwt,
          params: { aud: 'did:web:chat.example.com', lxm },
        })
        expect(answer.status, lxm).toBe(expected)
      }
      const proxied = await call(server.url, 'chat.bsky.convo.listConvos', {
        token: accessJwt,
        headers: { 'atproto-proxy': 'did:web:localhost%3A1#bsky_chat' },
      })
      expect(proxied.status === 403).toBe(!privileged)
    }
  })

  it('neither see, change nor wipe out personal details', async () => {
    await alice.agent.app.bsky.actor.putPreferences({ preferences: [PERSONAL, ADULT] })
    const { accessJwt: token } = await signIn(await create('preferences'))
    const put = (preferences: object[]): ReturnType<typeof call> =>
      call(server.url, 'app.bsky.actor.putPreferences', { token, json: { preferences } })
    const seen = await call(server.url, 'app.bsky.actor.getPreferences', { token })
    expect(seen.body).toEqual({ preferences: [ADULT] })
    expect((await put([PERSONAL])).status).toBe(403)
    expect((await put([])).status).toBe(200)
    const { data } = await alice.agent.app.bsky.actor.getPreferences()
    expect(data.preferences).toEqual([PERSONAL])
  })

  it('are listed without the password, and end with their sessions', async () => {
    const password = await create('doomed')
    const { refreshJwt } = await signIn(password)
    const twice = await call(server.url, `${SERVER}.createAppPassword`, {
      token: alice.accessJwt,
      json: { name: 'doomed' },
    })
    expect(twice).toMatchObject({ status: 400, body: { error: 'InvalidRequest' } })
    const listed = await alice.agent.com.atproto.server.listAppPasswords()
    expect(listed.data.passwords).toContainEqual({
      name: 'doomed',
      privileged: false,
      createdAt: expect.any(String) as string,
    })
    await alice.agent.com.atproto.server.revokeAppPassword({ name: 'doomed' })
    const refresh = await call(server.url, `${SERVER}.refreshSession`, {
      method: 'POST',
      token: refreshJwt,
    })
    expect(refresh).toMatchObject({ status: 400, body: { error: 'ExpiredToken' } })
    const again = await call(server.url, `${SERVER}.createSession`, {
      json: { identifier: alice.did, password },
    })
    expect(again.status).toBe(401)
    await alice.agent.com.atproto.server.revokeAppPassword({ name: 'never was' })
    expect((await alice.agent.com.atproto.server.getSession()).data.did).toBe(alice.did)
  })
})
