import { describe, expect, it } from 'vitest'
import { AuthRequiredError, RateLimitedError } from '../src/errors.ts'
import type { FetchLike } from '../src/fetch-like.ts'
import { createSignIns } from '../src/sign-ins.ts'
import type { SignIns, SignInsOptions } from '../src/sign-ins.ts'

const PDS = 'https://pds.example'

/** A PDS that knows everybody by the password `right`, and forgets them when `ended`. */
function world(options: Partial<SignInsOptions> = {}): {
  signIns: SignIns
  calls: string[]
  clock: { now: number }
  pds: { ended: boolean }
  signIn: (identifier: string, password?: string, address?: string) => Promise<string>
} {
  const calls: string[] = []
  const clock = { now: 0 }
  const pds = { ended: false }
  const fetch: FetchLike = async (url, init) => {
    const nsid = new URL(url).pathname.slice('/xrpc/'.length)
    calls.push(nsid)
    if (nsid === 'com.atproto.server.deleteSession') return new Response(null)
    if (nsid === 'com.atproto.server.createSession') {
      const { identifier, password } = JSON.parse(init.body as string) as Record<string, string>
      return password === 'right'
        ? Response.json({ did: identifier, handle: 'a.test', accessJwt: 'a', refreshJwt: 'r' })
        : Response.json({ error: 'AuthenticationRequired' }, { status: 401 })
    }
    return pds.ended
      ? Response.json({ error: 'ExpiredToken' }, { status: 400 })
      : Response.json({ did: 'did:web:a', handle: 'a.test', accessJwt: 'a', refreshJwt: 'r' })
  }
  const signIns = createSignIns({
    resolver: {
      resolveIdentity: async (name) => ({
        did: name.replace(/^(did:web:)?/, 'did:web:'),
        pds: PDS,
      }),
    },
    fetch,
    now: () => clock.now,
    ...options,
  })
  return {
    signIns,
    calls,
    clock,
    pds,
    signIn: (identifier, password = 'right', address = '192.0.2.1') =>
      signIns.signIn({ identifier, password, address }),
  }
}

describe('createSignIns', () => {
  it('gives a secret that leads to the session, until it is signed out', async () => {
    const { signIns, signIn, calls } = world()
    const secrets = [await signIn(' @alice '), await signIn('alice'), await signIn('did:web:bob')]
    expect(new Set(secrets).size).toBe(3)
    for (const secret of secrets) expect(secret).toMatch(/^[\w-]{43}$/)
    expect(secrets.map((secret) => signIns.get(secret)?.did)).toEqual([
      'did:web:alice',
      'did:web:alice',
      'did:web:bob',
    ])
    expect(signIns.get('')).toBeUndefined()
    expect(signIns.get('__proto__')).toBeUndefined()
    await signIns.signOut(secrets[0]!)
    await signIns.signOut(secrets[0]!)
    expect(calls.filter((nsid) => nsid.endsWith('deleteSession'))).toHaveLength(1)
    expect(secrets.map((secret) => signIns.get(secret) !== undefined)).toEqual([false, true, true])
  })

  it('refuses a wrong password, and an address that tries too often', async () => {
    const { signIn, clock } = world({ maxAttempts: 3 })
    const tries = (address?: string): Promise<string> => signIn('alice', 'wrong', address)
    for (let n = 0; n < 3; n++) await expect(tries()).rejects.toBeInstanceOf(AuthRequiredError)
    clock.now += 60_000
    await expect(tries()).rejects.toMatchObject({ retryAfterSeconds: 240 })
    await expect(signIn('alice', 'right')).rejects.toBeInstanceOf(RateLimitedError)
    // One network is one address.
    for (let n = 0; n < 3; n++)
      await expect(tries(`2001:db8::${n}`)).rejects.toBeInstanceOf(AuthRequiredError)
    await expect(tries('2001:db8::99')).rejects.toBeInstanceOf(RateLimitedError)
    clock.now += 300_000
    expect(await signIn('alice')).toMatch(/^[\w-]{43}$/)
  })

  it('forgets the longest unused beyond its bound, what expired, and what the PDS ended', async () => {
    const { signIns, signIn, clock, pds } = world({ maxSignIns: 2, ttlMs: 1_000 })
    const [one, two] = [await signIn('one'), await signIn('two')]
    signIns.get(one)
    const three = await signIn('three')
    expect([one, two, three].map((secret) => signIns.get(secret)?.did)).toEqual([
      'did:web:one',
      undefined,
      'did:web:three',
    ])
    clock.now += 999
    expect(signIns.get(one)).toBeDefined()
    clock.now += 1
    expect(signIns.get(three)).toBeUndefined()
    const session = signIns.get(one)
    pds.ended = true
    await expect(session?.refresh()).rejects.toMatchObject({ status: 400 })
    expect(signIns.get(one)).toBeUndefined()
  })
})
