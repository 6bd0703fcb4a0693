import { describe, expect, it } from 'vitest'
import {
  DidNotFoundError,
  HandleAmbiguousError,
  HandleNotFoundError,
  ResolutionFailedError,
  createResolver,
} from '../src/index.ts'
import { generatePrivateKey } from '../src/keys/index.ts'
import { createPlcClient, createPlcIdentity } from '../src/plc/index.ts'
import { createPlcDirectory } from '../src/plc-directory/index.ts'
import { createMemoryNetwork, createMemoryResolver, dnsError } from '../src/testing/index.ts'

const DID = 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa'

describe('memory network', () => {
  it('carries the real resolver over a real directory', async () => {
    const network = createMemoryNetwork()
    const directory = createPlcDirectory({ now: network.now })
    network.setServer('https://plc.example.com', (request) => directory.fetch(request))
    const signer = generatePrivateKey('k256')
    const { did, operation } = await createPlcIdentity({
      signingKey: signer.didKey,
      handle: 'alice.bsky.social',
      pds: 'https://pds.example.com',
      rotationKeys: [signer.didKey],
      signer,
    })
    await createPlcClient({ url: 'https://plc.example.com', fetch: network.fetch }).submit(
      did,
      operation,
    )
    network.setTxt('_atproto.alice.bsky.social', [`did=${did}`])
    const { fetch, resolveTxt, now } = network
    const resolver = createResolver({ plcUrl: 'https://plc.example.com', fetch, resolveTxt, now })
    const identity = await resolver.resolveIdentity('alice.bsky.social')
    expect(identity).toMatchObject({
      did,
      handle: 'alice.bsky.social',
      pds: 'https://pds.example.com',
    })
    network.advance(1000)
    expect((await resolver.resolveDid(did)).ageMs).toBe(1000)
  })

  it('fails as scripted', async () => {
    const network = createMemoryNetwork()
    network.setPage('https://a.example.com/', new Error('down'))
    network.setPage('https://b.example.com/', new Response('yes'))
    network.setTxt('a.example.com', dnsError('ETIMEOUT'))
    await expect(network.fetch('https://a.example.com/')).rejects.toThrow('down')
    for (let times = 0; times < 2; times++) {
      expect(await (await network.fetch('https://b.example.com/')).text()).toBe('yes')
    }
    await expect(network.resolveTxt('a.example.com')).rejects.toMatchObject({ code: 'ETIMEOUT' })
    network.remove('a.example.com')
    await expect(network.resolveTxt('a.example.com')).rejects.toMatchObject({ code: 'ENOTFOUND' })
    expect(network.requests).toEqual([
      'https://a.example.com/',
      'https://b.example.com/',
      'https://b.example.com/',
      'dns:a.example.com',
      'dns:a.example.com',
    ])
  })
})

describe('TXT records of a memory network', () => {
  const other = DID.replaceAll('a', 'b')
  const name = '_atproto.alice.bsky.social'
  const setUp = () => {
    const network = createMemoryNetwork()
    const { fetch, resolveTxt, now } = network
    return { ...network, resolver: createResolver({ fetch, resolveTxt, now }) }
  }

  it('come as the chunks they were set as, and are joined', async () => {
    const { resolver, resolveTxt, setTxt } = setUp()
    const chunks = ['did=', DID.slice(0, 9), '', DID.slice(9)]
    setTxt(name, ['v=spf1 -all', chunks])
    expect(await resolveTxt(name)).toEqual([
      ['v=spf1 -all'],
      ['did=', DID.slice(0, 9), '', DID.slice(9)],
    ])
    expect((await resolver.resolveHandle('alice.bsky.social')).did).toBe(DID)
  })

  it('are ambiguous when they name two DIDs, however they are cut', async () => {
    const { resolver, setTxt } = setUp()
    setTxt(name, [[`did=${DID.slice(0, 20)}`, DID.slice(20)], `did=${other}`])
    const error: unknown = await resolver
      .resolveHandle('alice.bsky.social')
      .catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(HandleAmbiguousError)
    expect(error).toMatchObject({ dids: [DID, other] })
  })

  it('are one when two of them say the same, and none when they are empty', async () => {
    const { resolver, resolveTxt, setTxt } = setUp()
    setTxt(name, [[`did=${DID}`], ['di', `d=${DID}`], []])
    expect((await resolver.resolveHandle('alice.bsky.social')).did).toBe(DID)
    setTxt('_atproto.bob.bsky.social', [[]])
    expect(await resolveTxt('_atproto.bob.bsky.social')).toEqual([[]])
    await expect(resolver.resolveHandle('bob.bsky.social')).rejects.toThrow(HandleNotFoundError)
  })
})

describe('a DNS of a memory network', () => {
  it('decides each time, and may never answer', async () => {
    const network = createMemoryNetwork()
    const { fetch, resolveTxt, now, setTxt, advance } = network
    const resolver = createResolver({ fetch, resolveTxt, now, timeoutMs: 20 })
    setTxt('_atproto.alice.bsky.social', () => new Promise<never>(() => undefined))
    await expect(resolver.resolveHandle('alice.bsky.social')).rejects.toMatchObject({
      code: 'ResolutionFailed',
      step: 'dns',
      cause: { name: 'TimeoutError' },
    })
    let asked = 0
    setTxt('_atproto.alice.bsky.social', () => {
      asked++
      if (asked === 1) throw dnsError('ESERVFAIL')
      return [`did=${DID}`]
    })
    advance(10_000)
    await expect(resolver.resolveHandle('alice.bsky.social')).rejects.toThrow('ESERVFAIL')
    advance(10_000)
    expect((await resolver.resolveHandle('alice.bsky.social')).did).toBe(DID)
    expect(asked).toBe(2)
  })
})

describe('memory resolver', () => {
  it('fails as scripted', async () => {
    const resolver = createMemoryResolver()
    resolver.setAccount({ did: DID, handle: 'a.test' })
    const noAnswer = new ResolutionFailedError(DID, 'plc', 'no answer', { retryable: true })
    resolver.setFailure(DID, noAnswer)
    await expect(resolver.resolveDid(DID)).rejects.toBe(noAnswer)
    await expect(resolver.resolveIdentity(DID)).rejects.toBe(noAnswer)
    expect((await resolver.resolveHandle('a.test')).did).toBe(DID)
    await expect(resolver.resolveIdentity('a.test')).rejects.toBe(noAnswer)
    resolver.setFailure(DID, undefined)
    expect((await resolver.resolveIdentity(DID)).handle).toBe('a.test')
    const twoDids = new HandleAmbiguousError('a.test', [DID, 'did:web:a.test'])
    resolver.setFailure('A.test', twoDids)
    await expect(resolver.resolveHandle('a.test')).rejects.toBe(twoDids)
    await expect(resolver.resolveIdentity('a.test')).rejects.toBe(twoDids)
    expect(await resolver.resolveIdentity(DID)).toMatchObject({
      handle: 'handle.invalid',
      handleError: twoDids,
    })
    resolver.setFailure('a.TEST', undefined)
    expect((await resolver.resolveIdentity('a.test')).handle).toBe('a.test')
  })

  it('answers from what was put into it', async () => {
    const key = generatePrivateKey('p256')
    const resolver = createMemoryResolver()
    await expect(resolver.resolveDid(DID)).rejects.toThrow(DidNotFoundError)
    resolver.setAccount({
      did: DID,
      handle: 'a.test',
      signingKey: key.publicKey,
      pds: 'http://localhost:1',
    })
    expect((await resolver.resolveDid(DID, { refresh: true })).signingKey?.didKey).toBe(key.didKey)
    expect(await resolver.resolveIdentity('A.test')).toMatchObject({
      did: DID,
      handle: 'a.test',
      pds: 'http://localhost:1',
    })
    resolver.set({ id: DID })
    expect((await resolver.resolveIdentity(DID)).handle).toBe('handle.invalid')
    resolver.purge(DID)
    resolver.delete(DID)
    await expect(resolver.resolveDid(DID)).rejects.toThrow(DidNotFoundError)
    expect(resolver.refreshed).toEqual([DID])
    expect(resolver.purged).toEqual([DID])
  })
})
