import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { until } from './until.ts'
import { blob, World } from './world.ts'

let world: World
beforeAll(async () => {
  world = await World.start()
})
afterAll(() => world[Symbol.asyncDispose]())

describe('getProfile', () => {
  it('answers the record, counts and image URLs by DID and by handle', async () => {
    const alice = await world.account('alice', {
      displayName: 'Alice',
      description: 'hello',
      avatar: blob('face'),
      banner: blob('sea'),
      website: 'https://alice.example/',
      labels: {
        $type: 'com.atproto.label.defs#selfLabels',
        values: [{ val: '!no-unauthenticated' }],
      },
    })
    const bob = await world.account('bob')
    await world.follow(bob, alice)
    await world.follow(alice, bob)
    await world.post(alice, 'one')
    await world.post(alice, 'two')
    for (const actor of [alice.did, alice.handle, alice.handle.toUpperCase()]) {
      const { status, body } = await world.get('app.bsky.actor.getProfile', { actor })
      expect(status).toBe(200)
      expect(body).toMatchObject({
        did: alice.did,
        handle: 'alice.test',
        displayName: 'Alice',
        description: 'hello',
        website: 'https://alice.example/',
        followersCount: 1,
        followsCount: 1,
        postsCount: 2,
      })
      expect(body.avatar).toMatch(
        new RegExp(`^${world.appView.url}/img/avatar/plain/did:plc:[^/]+/bafkrei[a-z2-7]+$`),
      )
      expect(body.banner).toContain('/img/banner/plain/')
      expect(body.labels).toMatchObject([{ src: alice.did, val: '!no-unauthenticated' }])
      expect(body.viewer).toBeUndefined()
    }
  })

  it('tells how the viewer and the account stand to each other', async () => {
    const viewer = await world.account('viewer')
    const friend = await world.account('friend')
    const follow = await world.follow(viewer, friend)
    const back = await world.follow(friend, viewer)
    const actor = friend.did
    const { body } = await world.get('app.bsky.actor.getProfile', { actor }, viewer)
    expect(body.viewer).toEqual({
      muted: false,
      blockedBy: false,
      following: follow.uri,
      followedBy: back.uri,
    })
    const block = await world.block(friend, viewer)
    const blocked = await world.get('app.bsky.actor.getProfile', { actor }, viewer)
    expect(blocked.body.viewer).toEqual({ muted: false, blockedBy: true })
    const blocking = await world.get('app.bsky.actor.getProfile', { actor: viewer.did }, friend)
    expect(blocking.body.viewer).toEqual({ muted: false, blockedBy: false, blocking: block.uri })
    await world.delete(friend, block)
    const again = await world.get('app.bsky.actor.getProfile', { actor }, viewer)
    expect(again.body.viewer?.following).toBe(follow.uri)
  })

  it('names an account without a verified handle handle.invalid', async () => {
    const nameless = await world.account('nameless')
    const { did, key } = nameless
    // The document names no handle any more; the one of the event would be a mere claim.
    world.resolver.setAccount({ did, signingKey: key.publicKey, pds: 'http://localhost:1' })
    const { index } = world.appView
    await world.apply({ type: 'identity', seq: 0, did })
    await until(index, async () => (await index.actor(did))?.handle === undefined)
    const { body } = await world.get('app.bsky.actor.getProfile', { actor: nameless.did })
    expect(body.handle).toBe('handle.invalid')
  })

  it('answers an account without a profile record', async () => {
    const bare = await world.account('bare', false)
    await world.post(bare, 'no profile')
    const { body } = await world.get('app.bsky.actor.getProfile', { actor: bare.handle })
    expect(body).toEqual({
      did: bare.did,
      handle: bare.handle,
      labels: [],
      followersCount: 0,
      followsCount: 0,
      postsCount: 1,
    })
  })

  it('refuses unknown, deleted, deactivated and taken-down accounts by name', async () => {
    const stranger = world.stranger('stranger')
    for (const actor of [stranger.did, stranger.handle, 'nobody.test']) {
      const { status, error } = await world.get('app.bsky.actor.getProfile', { actor })
      expect([status, error]).toEqual([400, 'InvalidRequest'])
    }
    const hidden = await world.account('hidden')
    const actor = hidden.did
    const expected = [
      ['takendown', 'AccountTakedown'],
      ['suspended', 'AccountTakedown'],
      ['deactivated', 'AccountDeactivated'],
    ] as const
    for (const [status, name] of expected) {
      await world.setStatus(hidden, false, status)
      const { error } = await world.get('app.bsky.actor.getProfile', { actor })
      expect(error).toBe(name)
    }
    await world.setStatus(hidden, true)
    expect((await world.get('app.bsky.actor.getProfile', { actor })).status).toBe(200)
    await world.setStatus(hidden, false, 'deleted')
    const { error } = await world.get('app.bsky.actor.getProfile', { actor })
    expect(error).toBe('InvalidRequest')
  })

  it('follows an edit and a deletion of the profile', async () => {
    const editor = await world.account('editor', { displayName: 'before' })
    const actor = editor.did
    await world.write(editor, 'app.bsky.actor.profile', { displayName: 'after' }, 'self')
    const edited = await world.get('app.bsky.actor.getProfile', { actor })
    expect(edited.body.displayName).toBe('after')
    await world.delete(editor, { uri: `at://${actor}/app.bsky.actor.profile/self` })
    const deleted = await world.get('app.bsky.actor.getProfile', { actor })
    expect(deleted.body.displayName).toBeUndefined()
  })

  it('keeps the former profile when a new one does not fit its lexicon', async () => {
    const odd = await world.account('odd', { displayName: 'fine' })
    const displayName = 'x'.repeat(1_000)
    await world.write(odd, 'app.bsky.actor.profile', { displayName }, 'self')
    const { status, body } = await world.get('app.bsky.actor.getProfile', { actor: odd.did })
    expect(status).toBe(200)
    expect(body.displayName).not.toBe(displayName)
  })
})

describe('getProfiles', () => {
  it('answers in the order asked, without unknown and hidden accounts', async () => {
    const [one, two, gone] = await Promise.all(['one', 'two', 'gone'].map((n) => world.account(n)))
    await world.setStatus(gone!, false, 'takendown')
    const actors = [two!.handle, 'nobody.test', one!.did, gone!.did]
    const { body } = await world.get('app.bsky.actor.getProfiles', { actors })
    expect(body.profiles.map((profile) => profile.did)).toEqual([two!.did, one!.did])
  })

  it('refuses more than 25', async () => {
    const actors = Array.from({ length: 26 }, (_, i) => `user${i}.test`)
    const { status, error } = await world.get('app.bsky.actor.getProfiles', { actors })
    expect([status, error]).toEqual([400, 'InvalidRequest'])
  })
})

it('checked the answers of this file', () => {
  expect(world.checked).toBeGreaterThan(12)
})
