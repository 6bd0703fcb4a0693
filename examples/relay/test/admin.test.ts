import { generatePrivateKey, type PrivateKey } from '@skywright/identity/keys'
import { createServiceJwt, type ServiceJwtOptions } from '@skywright/xrpc'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { FakeAccount, FakeHost } from './support/host.ts'
import { ADMIN_HEADERS, startTestNetwork, type TestNetwork } from './support/relay.ts'

const RELAY_DID = 'did:web:relay.example.com'
const UPDATE_HOST = 'io.github.skywright.relay.updateHost'

let stack: AsyncDisposableStack
let network: TestNetwork
let host: FakeHost
let nowMs: number
let admin: FakeAccount
let stranger: FakeAccount

beforeEach(async () => {
  stack = new AsyncDisposableStack()
  nowMs = Date.now()
  const now = (): number => nowMs
  // The accounts come first: their names are the relay's configuration.
  const adminDids: string[] = []
  network = stack.use(await startTestNetwork({ adminDids, serviceDid: RELAY_DID }, { now }))
  host = await network.startHost()
  admin = await host.createAccount()
  stranger = await host.createAccount()
  adminDids.push(admin.did)
  await network.restart()
  await network.requestCrawl(host.hostname)
})
afterEach(() => stack.disposeAsync())

type Claims = Partial<Omit<ServiceJwtOptions, 'key'>> & { readonly key?: PrivateKey }

function token(claims: Claims = {}): Promise<string> {
  const base = { iss: admin.did, aud: RELAY_DID, lxm: UPDATE_HOST, key: admin.key }
  return createServiceJwt({ ...base, now: () => nowMs, ...claims })
}

async function change(
  authorization: string | undefined,
  accountLimit = 7,
): Promise<{ readonly status: number; readonly error?: string }> {
  const response = await fetch(`${network.relay.url}/xrpc/${UPDATE_HOST}`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(authorization === undefined ? {} : { authorization }),
    },
    body: JSON.stringify({ hostname: host.hostname, accountLimit }),
  })
  const { error } = (await response.json()) as { readonly error?: string }
  return { status: response.status, ...(error === undefined ? {} : { error }) }
}

async function limit(): Promise<number> {
  const { hostname } = host
  const report = await network.client.query('io.github.skywright.relay.getHostReport', { hostname })
  return report.accountLimit
}

describe('service tokens', () => {
  it('of an admin account open the admin methods, each once and for its method', async () => {
    const first = await token()
    expect(await change(`Bearer ${first}`)).toEqual({ status: 200 })
    expect(await limit()).toBe(7)
    expect(await change(`bearer ${await token()}`, 8)).toEqual({ status: 200 })
    expect(await change(`Bearer ${first}`, 9)).toEqual({ status: 401, error: 'JwtReplayed' })
    expect(await limit()).toBe(8)

    const input = {
      subject: { $type: 'com.atproto.admin.defs#repoRef' as const, did: stranger.did },
      takedown: { applied: true },
    }
    await network.until(async () => {
      await host.post(stranger, 'hello')
      const { repos } = await network.client.query('com.atproto.sync.listRepos')
      return repos.some(({ did }) => did === stranger.did)
    }, 'the account')
    const lxm = 'com.atproto.admin.updateSubjectStatus'
    await network.client.procedure(lxm, input, {
      headers: { authorization: `Bearer ${await token({ lxm })}` },
    })
    expect(
      await network.client.query('com.atproto.sync.getRepoStatus', { did: stranger.did }),
    ).toMatchObject({ active: false, status: 'takendown' })
    // So does the password, beside them.
    expect(await change(ADMIN_HEADERS['authorization'], 10)).toEqual({ status: 200 })
  })

  it('that are wrong in any way are refused', async () => {
    const seconds = Math.floor(nowMs / 1_000)
    const otherKey = generatePrivateKey('k256')
    const wrong: Readonly<Record<string, Claims>> = {
      BadJwtAudience: { aud: 'did:web:other.example.com' },
      BadJwtLexiconMethod: { lxm: 'com.atproto.admin.updateSubjectStatus' },
      JwtExpired: { exp: seconds - 60 },
      // An honest token, of somebody who is no admin.
      BadJwtIssuer: { iss: stranger.did, key: stranger.key },
      BadJwtSignature: { key: otherKey },
      JwtNotYetValid: { now: () => nowMs + 120_000 },
      BadJwt: { exp: seconds + 86_400 },
      BadJwtKeyId: { kid: '#other' },
    }
    for (const [error, claims] of Object.entries(wrong)) {
      expect(await change(`Bearer ${await token(claims)}`)).toEqual({ status: 401, error })
    }
    expect(await limit()).toBe(100)
    expect(await change(undefined)).toMatchObject({ status: 401 })
    expect(await change('Bearer x.y.z')).toMatchObject({ status: 401 })
    // Ten wrong ones: from this address not even a right one is looked at for a while.
    expect(await change('Bearer')).toMatchObject({ status: 401 })
    expect(await change(`Bearer ${await token()}`)).toMatchObject({ status: 429 })
    nowMs += 900_001
    expect(await change(`Bearer ${await token()}`)).toEqual({ status: 200 })
  })

  it('of strangers make the relay ask nobody', async () => {
    const asked: string[] = []
    const documents = network.plc.documents
    const get = documents.get.bind(documents)
    documents.get = (did) => {
      asked.push(did)
      return get(did)
    }
    const iss = `did:plc:${'7'.repeat(24)}`
    expect(await change(`Bearer ${await token({ iss })}`)).toMatchObject({ error: 'BadJwtIssuer' })
    const web = 'did:web:127.0.0.1'
    expect(await change(`Bearer ${await token({ iss: web })}`)).toMatchObject({
      error: 'BadJwtIssuer',
    })
    expect(asked).toEqual([])
    expect(await change(`Bearer ${await token()}`)).toEqual({ status: 200 })
    expect(asked).toContain(admin.did)
  })

  it('are nothing to a relay that has no admin accounts', async () => {
    await using plain = await startTestNetwork()
    const response = await fetch(`${plain.relay.url}/xrpc/${UPDATE_HOST}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${await token()}` },
      body: JSON.stringify({ hostname: host.hostname, banned: true }),
    })
    expect(response.status).toBe(401)
    expect(response.headers.get('www-authenticate')).toMatch(/^Basic/)
  })

  it('let an admin have a host crawled beyond the limits', async () => {
    await using small = await startTestNetwork({
      newHostsPerDay: 0,
      adminDids: [admin.did],
      serviceDid: RELAY_DID,
      plcUrl: network.plc.url,
    })
    const ask = async (authorization?: string): Promise<number> => {
      const response = await fetch(`${small.relay.url}/xrpc/com.atproto.sync.requestCrawl`, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          ...(authorization === undefined ? {} : { authorization }),
        },
        body: JSON.stringify({ hostname: host.hostname }),
      })
      return response.status
    }
    expect(await ask()).toBe(429)
    const lxm = 'com.atproto.sync.requestCrawl'
    expect(await ask(`Bearer ${await token({ lxm, now: Date.now })}`)).toBe(200)
  })
})
