import { describe, expect, it } from 'vitest'
import { DidNotFoundError, createResolver } from '../src/index.ts'
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

describe('memory resolver', () => {
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
