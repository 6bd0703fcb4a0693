import { createResolver, getHandle, getPdsEndpoint, getSigningKey } from '@skywright/identity'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ACCESS_LIFETIME_MS } from '../src/sessions/issue-session.ts'
import { REFRESH_GRACE_MS } from '../src/sessions/session-store.ts'
import { call, PASSWORD, PLC_URL, startTestPds, type TestAccount, type TestPds } from './harness.ts'

let now = Date.UTC(2026, 0, 1)
let server: TestPds
let alice: TestAccount

beforeAll(async () => {
  server = await startTestPds({}, { now: () => now })
  alice = await server.account('alice')
})
afterAll(() => server[Symbol.asyncDispose]())

function decode(token: string): {
  header: Record<string, unknown>
  claims: Record<string, unknown>
} {
  const read = (part = ''): Record<string, unknown> =>
    JSON.parse(Buffer.from(part, 'base64url').toString('utf8')) as Record<string, unknown>
  const [header, claims] = token.split('.')
  return { header: read(header), claims: read(claims) }
}

describe('com.atproto.server.describeServer', () => {
  it('answers strangers', async () => {
    const { data } = await server.agent().com.atproto.server.describeServer()
    expect(data).toMatchObject({
      did: server.pds.did,
      availableUserDomains: ['.test'],
      inviteCodeRequired: false,
    })
  })
})

describe('com.atproto.server.createAccount', () => {
  it('creates an identity in the PLC directory that points here', async () => {
    const resolver = createResolver({ plcUrl: PLC_URL, fetch: server.fetch, dev: true })
    const { document } = await resolver.resolveDid(alice.did)
    expect(getHandle(document)).toBe('alice.test')
    expect(getPdsEndpoint(document, { allowHttp: true })).toBe(server.url)
    expect(getSigningKey(document)?.curve).toBe('k256')
  })

  it('gives a session the client can read', () => {
    const { header, claims } = decode(alice.accessJwt)
    expect(header['typ']).toBe('at+jwt')
    expect(claims).toMatchObject({
      scope: 'com.atproto.access',
      sub: alice.did,
      aud: server.pds.did,
      exp: Math.floor((now + ACCESS_LIFETIME_MS) / 1000),
    })
    expect(decode(alice.refreshJwt).header['typ']).toBe('refresh+jwt')
  })

  it.each([
    ['a taken handle', { handle: 'alice.test' }, 'HandleNotAvailable'],
    ['a taken handle in capitals', { handle: 'ALICE.test' }, 'HandleNotAvailable'],
    ['a reserved handle', { handle: 'admin.test' }, 'HandleNotAvailable'],
    ['a handle of elsewhere', { handle: 'someone.example.com' }, 'UnsupportedDomain'],
    ['a handle of two names', { handle: 'a.b.test' }, 'InvalidHandle'],
    ['a short name', { handle: 'al.test' }, 'InvalidHandle'],
    ['a handle that is none', { handle: 'not a handle' }, 'InvalidRequest'],
    ['no handle', { handle: undefined }, 'InvalidRequest'],
    ['a short password', { password: 'short' }, 'InvalidPassword'],
    ['no password', { password: undefined }, 'InvalidPassword'],
    ['an endless password', { password: 'x'.repeat(257) }, 'InvalidPassword'],
    ['a bad e-mail', { email: 'nobody' }, 'InvalidRequest'],
    ['a taken e-mail', { email: 'Alice@example.com' }, 'InvalidRequest'],
    ['a recovery key that is none', { recoveryKey: 'did:key:zzz' }, 'InvalidRequest'],
  ])('refuses %s', async (_name, change, error) => {
    const json = { handle: 'fresh.test', email: 'fresh@example.com', password: PASSWORD, ...change }
    const answer = await call(server.url, 'com.atproto.server.createAccount', { json })
    expect(answer).toMatchObject({ status: 400, body: { error } })
    const listed = await server.agent().com.atproto.sync.listRepos()
    expect(listed.data.repos).toHaveLength(1)
  })

  it('leaves nothing behind when the directory refuses', async () => {
    await using other = await startTestPds(
      {},
      { fetch: async () => new Response('{"message":"no"}', { status: 500 }) },
    )
    const json = { handle: 'carol.test', email: 'carol@example.com', password: PASSWORD }
    for (let i = 0; i < 2; i++) {
      const answer = await call(other.url, 'com.atproto.server.createAccount', { json })
      expect(answer).toMatchObject({ status: 502, body: { error: 'UpstreamFailure' } })
    }
    const listed = await other.agent().com.atproto.sync.listRepos()
    expect(listed.data.repos).toEqual([])
  })

  it('asks for the invite code when there is one', async () => {
    await using other = await startTestPds({ inviteCode: 'open sesame' })
    const json = { handle: 'carol.test', email: 'carol@example.com', password: PASSWORD }
    for (const inviteCode of [undefined, '', 'open sesamo']) {
      const refused = await call(other.url, 'com.atproto.server.createAccount', {
        json: { ...json, inviteCode },
      })
      expect(refused).toMatchObject({ status: 400, body: { error: 'InvalidInviteCode' } })
    }
    const accepted = await call(other.url, 'com.atproto.server.createAccount', {
      json: { ...json, inviteCode: 'open sesame' },
    })
    expect(accepted.status).toBe(200)
  })
})

describe('com.atproto.server.createSession', () => {
  it.each(['alice.test', 'ALICE.test', 'alice@example.com'])(
    'signs in by %s',
    async (identifier) => {
      const { data } = await server.agent().login({ identifier, password: PASSWORD })
      expect(data).toMatchObject({
        did: alice.did,
        handle: 'alice.test',
        email: 'alice@example.com',
        emailConfirmed: false,
        active: true,
        didDoc: { id: alice.did },
      })
    },
  )

  it('signs in by DID', async () => {
    const { data } = await server.agent().login({ identifier: alice.did, password: PASSWORD })
    expect(data.did).toBe(alice.did)
  })

  it.each([
    ['a wrong password', 'alice.test', 'wrong'],
    ['an unknown handle', 'nobody.test', PASSWORD],
    ['an unknown DID', 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa', PASSWORD],
    ['an endless password', 'alice.test', 'x'.repeat(100_000)],
  ])('refuses %s in the same words', async (_name, identifier, password) => {
    const answer = await call(server.url, 'com.atproto.server.createSession', {
      json: { identifier, password },
    })
    expect(answer).toMatchObject({
      status: 401,
      body: { error: 'AuthenticationRequired', message: 'Invalid identifier or password' },
    })
  })
})

describe('sessions', () => {
  it('tells the caller who they are', async () => {
    const { data } = await alice.agent.com.atproto.server.getSession()
    expect(data).toMatchObject({ did: alice.did, handle: 'alice.test', active: true })
  })

  it.each([
    ['no token', undefined, 401, 'AuthMissing'],
    ['nonsense', 'nonsense', 401, 'InvalidToken'],
    ['a token of another key', `${'x'.repeat(20)}.e30.AA`, 401, 'InvalidToken'],
  ])('refuses %s', async (_name, token, status, error) => {
    const answer = await call(
      server.url,
      'com.atproto.server.getSession',
      token === undefined ? {} : { token },
    )
    expect(answer).toMatchObject({ status, body: { error } })
    expect(answer.headers.get('www-authenticate')).not.toBeNull()
  })

  it('refuses a refresh token where an access token belongs, and the reverse', async () => {
    const session = await call(server.url, 'com.atproto.server.getSession', {
      token: alice.refreshJwt,
    })
    expect(session).toMatchObject({ status: 401, body: { error: 'InvalidToken' } })
    const refresh = await call(server.url, 'com.atproto.server.refreshSession', {
      token: alice.accessJwt,
      method: 'POST',
    })
    expect(refresh).toMatchObject({ status: 401, body: { error: 'InvalidToken' } })
  })

  it('answers an expired access token with 400 ExpiredToken, and the client refreshes by itself', async () => {
    const { data } = await server.agent().login({ identifier: 'alice.test', password: PASSWORD })
    now += ACCESS_LIFETIME_MS
    const answer = await call(server.url, 'com.atproto.server.getSession', {
      token: data.accessJwt,
    })
    expect(answer).toMatchObject({ status: 400, body: { error: 'ExpiredToken' } })
    const agent = server.agent()
    await agent.resumeSession({ ...data, active: true })
    const session = await agent.com.atproto.server.getSession()
    expect(session.data.did).toBe(alice.did)
    expect(agent.session?.accessJwt).not.toBe(data.accessJwt)
  })

  it('rotates refresh tokens with a grace period', async () => {
    const { data } = await server.agent().login({ identifier: 'alice.test', password: PASSWORD })
    const refresh = (token: string): ReturnType<typeof call> =>
      call(server.url, 'com.atproto.server.refreshSession', { token, method: 'POST' })
    const [first, second] = await Promise.all([refresh(data.refreshJwt), refresh(data.refreshJwt)])
    expect(first.status).toBe(200)
    // Two requests that race get the same successor: no client loses its session.
    const next = (first.body as { refreshJwt: string }).refreshJwt
    expect(decode((second.body as { refreshJwt: string }).refreshJwt).claims['jti']).toBe(
      decode(next).claims['jti'],
    )
    now += REFRESH_GRACE_MS
    expect(await refresh(data.refreshJwt)).toMatchObject({
      status: 400,
      body: { error: 'ExpiredToken' },
    })
    expect((await refresh(next)).status).toBe(200)
  })

  it('ends a session', async () => {
    const { data } = await server.agent().login({ identifier: 'alice.test', password: PASSWORD })
    const ended = await call(server.url, 'com.atproto.server.deleteSession', {
      token: data.refreshJwt,
      method: 'POST',
    })
    expect(ended.status).toBe(200)
    const refresh = await call(server.url, 'com.atproto.server.refreshSession', {
      token: data.refreshJwt,
      method: 'POST',
    })
    expect(refresh).toMatchObject({ status: 400, body: { error: 'ExpiredToken' } })
  })
})

describe('rate limits', () => {
  it('slow down who guesses passwords, and nobody else', async () => {
    await using other = await startTestPds({ rateLimits: true })
    const guess = (identifier: string): ReturnType<typeof call> =>
      call(other.url, 'com.atproto.server.createSession', { json: { identifier, password: 'x' } })
    const answers = await Promise.all(Array.from({ length: 32 }, () => guess('victim.test')))
    expect(answers.filter(({ status }) => status === 401)).toHaveLength(30)
    const limited = answers.find(({ status }) => status === 429)
    expect(limited).toMatchObject({ body: { error: 'RateLimitExceeded' } })
    expect(Number(limited?.headers.get('retry-after'))).toBeGreaterThan(290)
    expect(limited?.headers.get('ratelimit-policy')).toBe('30;w=300')
    expect((await guess('somebody.test')).status).toBe(401)
  })
})

describe('com.atproto.identity.resolveHandle', () => {
  it('knows its own accounts', async () => {
    const { data } = await server.agent().resolveHandle({ handle: 'Alice.test' })
    expect(data.did).toBe(alice.did)
  })

  it('says so when nobody has the handle', async () => {
    const answer = await call(server.url, 'com.atproto.identity.resolveHandle', {
      params: { handle: 'nobody.test' },
    })
    expect(answer).toMatchObject({ status: 400, body: { error: 'HandleNotFound' } })
  })

  it('refuses what is no handle', async () => {
    const answer = await call(server.url, 'com.atproto.identity.resolveHandle', {
      params: { handle: 'no handle' },
    })
    expect(answer).toMatchObject({ status: 400, body: { error: 'InvalidRequest' } })
  })
})

describe('plain routes', () => {
  it('answers its health', async () => {
    expect(await call(server.url, '_health')).toMatchObject({
      status: 200,
      body: { version: 'skywright' },
    })
  })

  it('serves its DID document', async () => {
    const response = await fetch(`${server.url}/.well-known/did.json`)
    expect(response.headers.get('access-control-allow-origin')).toBe('*')
    expect(await response.json()).toMatchObject({
      id: server.pds.did,
      service: [{ type: 'AtprotoPersonalDataServer', serviceEndpoint: server.url }],
    })
  })

  it('resolves handles by host name', async () => {
    const { port } = new URL(server.url)
    const ask = async (host: string): Promise<{ status: number; text: string }> => {
      const { request } = await import('node:http')
      return new Promise((resolve, reject) => {
        request(
          { host: '127.0.0.1', port, path: '/.well-known/atproto-did', headers: { host } },
          (response) => {
            let text = ''
            response.setEncoding('utf8')
            response.on('data', (chunk: string) => (text += chunk))
            response.on('end', () => resolve({ status: response.statusCode ?? 0, text }))
          },
        )
          .on('error', reject)
          .end()
      })
    }
    expect(await ask('alice.test')).toEqual({ status: 200, text: alice.did })
    expect(await ask(`ALICE.test:${port}`)).toEqual({ status: 200, text: alice.did })
    expect((await ask('nobody.test')).status).toBe(404)
    expect((await ask(alice.did)).status).toBe(404)
  })

  it('greets visitors, and answers 404 elsewhere', async () => {
    expect(await (await fetch(server.url)).text()).toContain(server.pds.did)
    expect((await fetch(`${server.url}/nothing`)).status).toBe(404)
  })
})
