import { ResolutionFailedError } from '@skywright/identity'
import type { DidDocument } from '@skywright/identity'
import { generatePrivateKey } from '@skywright/identity/keys'
import type { PrivateKey } from '@skywright/identity/keys'
import { createMemoryResolver } from '@skywright/identity/testing'
import type { MemoryResolver } from '@skywright/identity/testing'
import { describe, expect, it } from 'vitest'
import type { XrpcError } from '../src/errors.ts'
import { createRouter } from '../src/router.ts'
import { createReplayCache } from '../src/replay-cache.ts'
import { createServiceAuthVerifier } from '../src/service-auth.ts'
import type { ServiceAuthVerifier, ServiceAuthVerifierOptions } from '../src/service-auth.ts'
import { createServiceJwt } from '../src/service-jwt.ts'
import { createForgeries, createGenuineToken } from '../src/testing/index.ts'
import type { ForgeryOptions } from '../src/testing/index.ts'
import { examples } from './documents.ts'

const ISS = 'did:web:alice.example'
const AUD = 'did:web:service.example#thing'
const LXM = 'com.example.getThing'
const NOW = Date.UTC(2026, 10, 21)

function documentOf(keys: Readonly<Record<string, PrivateKey>>): DidDocument {
  return {
    id: ISS,
    verificationMethod: Object.entries(keys).map(([id, key]) => ({
      id: `${ISS}#${id}`,
      type: 'Multikey',
      controller: ISS,
      publicKeyMultibase: key.publicKey.multibase,
    })),
  }
}

function setUp(
  curve: 'k256' | 'p256',
  options: Partial<ServiceAuthVerifierOptions> = {},
): { kit: ForgeryOptions; resolver: MemoryResolver; verifier: ServiceAuthVerifier } {
  const [key, labelKey, strangerKey] = [0, 1, 2].map(() => generatePrivateKey(curve))
  if (!key || !labelKey || !strangerKey) throw new Error('no keys')
  const resolver = createMemoryResolver([documentOf({ atproto: key, atproto_label: labelKey })])
  const now = (): number => NOW
  const verifier = createServiceAuthVerifier({ audience: [AUD], resolver, now, ...options })
  return {
    kit: { iss: ISS, aud: AUD, lxm: LXM, key, labelKey, strangerKey, now },
    resolver,
    verifier,
  }
}

async function refusal(promise: Promise<unknown>): Promise<[number, string]> {
  const error = await promise.then(
    () => undefined,
    (cause: unknown) => cause as XrpcError,
  )
  return [error?.status ?? 200, error?.error ?? 'accepted']
}

describe.each(['k256', 'p256'] as const)('service auth with %s', (curve) => {
  it('accepts what it minted', async () => {
    const { kit, verifier } = setUp(curve)
    const token = await createServiceJwt({ ...kit, jti: 'once', lifetimeSeconds: 90 })
    expect(await verifier.verify(token, { lxm: LXM })).toEqual({
      iss: ISS,
      aud: AUD,
      lxm: LXM,
      exp: NOW / 1000 + 90,
      jti: 'once',
      keyId: '#atproto',
    })
  })

  it('keeps to the expiry that the caller asks for, up to an hour', async () => {
    const { kit, verifier } = setUp(curve)
    const expiring = async (exp: number): Promise<string> =>
      createServiceJwt({ ...kit, jti: `until ${exp}`, exp })
    const halfAnHour = NOW / 1000 + 1_800
    const { exp } = await verifier.verify(await expiring(halfAnHour), { lxm: LXM })
    expect(exp).toBe(halfAnHour)
    const twoHours = await expiring(NOW / 1000 + 7_200)
    await expect(verifier.verify(twoHours, { lxm: LXM })).rejects.toThrow('exp is too far away')
  })

  it('refuses every forgery', async () => {
    const { kit, verifier } = setUp(curve)
    const forgeries = await createForgeries(kit)
    expect(forgeries.length).toBeGreaterThanOrEqual(60)
    expect(new Set(forgeries.map(({ name }) => name)).size).toBe(forgeries.length)
    const accepted: string[] = []
    for (const { name, token, before } of forgeries) {
      if (before !== undefined) await verifier.verify(before, { lxm: LXM })
      const [status] = await refusal(verifier.verify(token, { lxm: LXM }))
      if (status !== 401) accepted.push(`${name}: ${status}`)
    }
    expect(accepted).toEqual([])
    await verifier.verify(createGenuineToken(kit), { lxm: LXM })
  })

  it('names what is wrong', async () => {
    const { kit, verifier } = setUp(curve)
    const names = new Map<string, string>()
    for (const { name, token, before } of await createForgeries(kit)) {
      if (before !== undefined) await verifier.verify(before, { lxm: LXM })
      names.set(name, (await refusal(verifier.verify(token, { lxm: LXM })))[1])
    }
    expect(names.get('expired')).toBe('JwtExpired')
    expect(names.get('aud of another service')).toBe('BadJwtAudience')
    expect(names.get('lxm of another method')).toBe('BadJwtLexiconMethod')
    expect(names.get('typ at+jwt')).toBe('BadJwtType')
    expect(names.get('signed by a stranger')).toBe('BadJwtSignature')
    expect(names.get('alg of the other curve')).toBe('BadJwtAlgorithm')
    expect(names.get('kid of a key not meant for this')).toBe('BadJwtKeyId')
    expect(names.get('used twice')).toBe('JwtReplayed')
    expect(names.get('two parts')).toBe('BadJwt')
  })

  it('accepts another key id only when configured', async () => {
    const { kit, resolver } = setUp(curve)
    const verifier = createServiceAuthVerifier({
      audience: [AUD],
      resolver,
      keyIds: ['#atproto_label'],
      now: kit.now,
    })
    const token = await createServiceJwt({ ...kit, key: kit.labelKey, kid: '#atproto_label' })
    expect(await verifier.verify(token, { lxm: LXM })).toMatchObject({ keyId: '#atproto_label' })
    const usual = await createServiceJwt(kit)
    expect(await refusal(verifier.verify(usual, { lxm: LXM }))).toEqual([401, 'BadJwtKeyId'])
  })

  it('refreshes the document once, and tries again only when the key changed', async () => {
    const { kit, resolver } = setUp(curve)
    const rotated = generatePrivateKey(curve)
    const documents = [documentOf({ atproto: kit.key }), documentOf({ atproto: rotated })]
    const asked: boolean[] = []
    const verifier = createServiceAuthVerifier({
      audience: [AUD],
      now: kit.now,
      resolver: {
        async resolveDid(did, { refresh = false } = {}) {
          asked.push(refresh)
          const document = documents[refresh ? 1 : 0]
          return { ...(await resolver.resolveDid(did)), ...(document && { document }) }
        },
      },
    })
    const token = await createServiceJwt({ ...kit, key: rotated })
    await verifier.verify(token, { lxm: LXM })
    expect(asked).toEqual([false, true])
    const forged = await createServiceJwt({ ...kit, key: kit.strangerKey })
    expect(await refusal(verifier.verify(forged, { lxm: LXM }))).toEqual([401, 'BadJwtSignature'])
    expect(asked).toEqual([false, true, false, true])
  })
})

describe('service auth verifier', () => {
  it('takes incomplete tokens only when told to', async () => {
    const { kit, verifier } = setUp('k256', { allowIncompleteTokens: true })
    const forgeries = await createForgeries(kit)
    for (const name of ['iat missing', 'jti missing']) {
      const token = forgeries.find((forgery) => forgery.name === name)?.token ?? ''
      await verifier.verify(token, { lxm: LXM })
    }
  })

  it('takes high-S signatures only when told to', async () => {
    const { kit, verifier } = setUp('k256', { allowHighS: true })
    const forgeries = await createForgeries(kit)
    const token = forgeries.find(({ name }) => name === 'high-S signature')?.token ?? ''
    await verifier.verify(token, { lxm: LXM })
  })

  it('tells an issuer that does not exist from one that could not be asked', async () => {
    const { kit, resolver } = setUp('k256')
    resolver.delete(ISS)
    const verifier = createServiceAuthVerifier({ audience: [AUD], resolver, now: kit.now })
    const token = await createServiceJwt(kit)
    expect(await refusal(verifier.verify(token, { lxm: LXM }))).toEqual([401, 'BadJwtIssuer'])
    const down = createServiceAuthVerifier({
      audience: [AUD],
      now: kit.now,
      resolver: {
        resolveDid: async (did) => {
          throw new ResolutionFailedError(did, 'did-web', 'down', { retryable: true })
        },
      },
    })
    expect(await refusal(down.verify(token, { lxm: LXM }))).toEqual([502, 'UpstreamFailure'])
  })

  it('works as the auth step of a method', async () => {
    const { kit, verifier } = setUp('k256')
    const router = createRouter({ lexicons: examples }).add('com.example.getThing', {
      auth: verifier.required,
      handler: ({ auth }) => ({ name: auth.iss }),
    })
    const call = async (authorization?: string): Promise<Response> =>
      router.fetch(
        new Request('http://localhost/xrpc/com.example.getThing?name=a', {
          headers: authorization === undefined ? {} : { authorization },
        }),
      )
    const good = await call(`Bearer ${await createServiceJwt(kit)}`)
    expect(await good.json()).toEqual({ name: ISS })
    const missing = await call()
    expect(missing.status).toBe(401)
    expect(missing.headers.get('www-authenticate')).toBe('Bearer')
    expect((await call('Basic x')).status).toBe(401)
  })

  it('needs an audience, and mints only well-formed claims', async () => {
    const { kit, resolver } = setUp('k256')
    expect(() => createServiceAuthVerifier({ audience: [], resolver })).toThrow(TypeError)
    for (const bad of [
      { iss: 'x' },
      { iss: `${ISS}#a` },
      { aud: 'x' },
      { lxm: '' },
      { kid: 'x' },
    ]) {
      await expect(createServiceJwt({ ...kit, ...bad })).rejects.toThrow(TypeError)
    }
  })
})

describe('createReplayCache', () => {
  it('remembers until expiry and stays within its bound', () => {
    let time = 0
    const cache = createReplayCache({ maxEntries: 3, now: () => time })
    expect(cache.add('a', 10)).toBe(true)
    expect(cache.add('a', 10)).toBe(false)
    time = 11
    expect(cache.add('a', 20)).toBe(true)
    for (const key of ['b', 'c', 'd']) expect(cache.add(key, 100)).toBe(true)
    expect(cache.add('a', 100)).toBe(true)
    expect(cache.add('d', 100)).toBe(false)
  })
})
