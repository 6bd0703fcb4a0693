import { AtpAgent, XRPCError } from '@atproto/api'
import { describe, expect, it } from 'vitest'
import { serveNode } from '../src/adapters/node.ts'
import { AuthRequiredError, InvalidRequestError } from '../src/errors.ts'
import { atproto } from '../src/lexicons.ts'
import { reply } from '../src/method.ts'
import { createRouter } from '../src/router.ts'

const LINK = 'bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku'
const DID = 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa'

/** A router whose answers show what arrived, driven by a client that nobody here wrote. */
async function start(): Promise<{ agent: AtpAgent; seen: unknown[] } & AsyncDisposable> {
  const seen: unknown[] = []
  const session = {
    did: DID,
    handle: 'alice.example',
    accessJwt: 'a.b.c',
    refreshJwt: 'd.e.f',
  } as const
  const router = createRouter({ lexicons: atproto, validateOutput: true })
    .add('com.atproto.server.createSession', {
      handler: ({ input }) => {
        if (input.password !== 'right')
          throw new AuthRequiredError('Invalid identifier or password')
        return session
      },
    })
    .add('com.atproto.server.getSession', { handler: () => session })
    .add('com.atproto.server.refreshSession', { handler: () => session })
    .add('com.atproto.server.deleteSession', { handler: () => undefined })
    .add('com.atproto.repo.createRecord', {
      auth: ({ request }) => request.headers.get('authorization'),
      handler: ({ input, auth }) => {
        seen.push(auth, input)
        return { uri: `at://${DID}/app.bsky.feed.post/a`, cid: LINK, validationStatus: 'valid' }
      },
    })
    .add('com.atproto.repo.getRecord', {
      handler: ({ error }) => {
        throw error('RecordNotFound', 'Could not locate record')
      },
    })
    .add('com.atproto.repo.uploadBlob', {
      handler: async ({ input, encoding }) => {
        let size = 0
        for await (const chunk of input) size += chunk.length
        return { blob: { $type: 'blob', ref: { $link: LINK }, mimeType: String(encoding), size } }
      },
    })
    .add('app.bsky.actor.getProfiles', {
      handler: ({ params }) => ({
        profiles: params.actors.map((actor) => ({ did: DID, handle: actor })),
      }),
    })
    .add('app.bsky.feed.getTimeline', {
      handler: ({ params, request }) => {
        seen.push(params, request.headers.get('atproto-accept-labelers'))
        return reply({ feed: [], cursor: 'next' }, { headers: { 'atproto-repo-rev': 'rev' } })
      },
    })
    .add('com.atproto.sync.getRepo', { handler: () => new Uint8Array([1, 2, 3]) })
    .add('com.atproto.identity.resolveHandle', {
      handler: () => {
        throw new InvalidRequestError('Unable to resolve handle')
      },
    })
  const server = await serveNode(router)
  return {
    agent: new AtpAgent({ service: server.url }),
    seen,
    [Symbol.asyncDispose]: async () => server[Symbol.asyncDispose](),
  }
}

async function failure(promise: Promise<unknown>): Promise<[number, string, string]> {
  const error: unknown = await promise.catch((cause: unknown) => cause)
  if (!(error instanceof XRPCError)) throw new Error('no XRPCError', { cause: error })
  return [error.status, error.error, error.message]
}

describe('@atproto/api as the client', () => {
  it('logs in, and is refused with the names it expects', async () => {
    await using server = await start()
    const { agent } = server
    expect(await failure(agent.login({ identifier: 'a', password: 'wrong' }))).toEqual([
      401,
      'AuthenticationRequired',
      'Invalid identifier or password',
    ])
    await agent.login({ identifier: 'a', password: 'right' })
    expect(agent.did).toBe(DID)
    const missing = agent.com.atproto.repo.getRecord({ repo: DID, collection: 'a.b.c', rkey: 'x' })
    expect(await failure(missing)).toEqual([400, 'RecordNotFound', 'Could not locate record'])
    expect((await failure(agent.com.atproto.identity.resolveHandle({ handle: 'a.b' })))[1]).toBe(
      'InvalidRequest',
    )
    expect((await failure(agent.com.atproto.sync.listRepos()))[0]).toBe(501)
  })

  it('writes records, blobs and arrays, and reads pages and bytes', async () => {
    await using server = await start()
    const { agent, seen } = server
    await agent.login({ identifier: 'a', password: 'right' })
    const { data } = await agent.uploadBlob(new Uint8Array(5000), { encoding: 'image/png' })
    expect(data.blob).toMatchObject({ mimeType: 'image/png', size: 5000 })
    await agent.post({
      text: 'hi',
      embed: { $type: 'app.bsky.embed.images', images: [{ alt: '', image: data.blob }] },
    })
    const [auth, input] = seen.splice(0) as [
      string,
      { repo: string; record: Record<string, unknown> },
    ]
    expect(auth).toBe('Bearer a.b.c')
    expect(input.repo).toBe(DID)
    expect(atproto.validateRecord('app.bsky.feed.post', input.record).text).toBe('hi')
    const profiles = await agent.getProfiles({ actors: ['a.example', 'b.example'] })
    expect(profiles.data.profiles.map(({ handle }) => handle)).toEqual(['a.example', 'b.example'])
    const timeline = await agent.getTimeline({ limit: 7 })
    expect(timeline.data.cursor).toBe('next')
    expect(timeline.headers['atproto-repo-rev']).toBe('rev')
    expect(seen[0]).toEqual({ limit: 7 })
    expect(seen[1]).toMatch(/^did:plc:.*;redact$/)
    const repo = await agent.com.atproto.sync.getRepo({ did: DID })
    expect(repo.data).toEqual(new Uint8Array([1, 2, 3]))
    expect((await failure(agent.getTimeline({ limit: 101 })))[1]).toBe('InvalidRequest')
  })
})
