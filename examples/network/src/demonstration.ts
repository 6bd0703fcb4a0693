import { AtpAgent, RichText, type AppBskyFeedDefs, type BlobRef } from '@atproto/api'
import { setTimeout as delay } from 'node:timers/promises'
import { drawPng } from './picture.ts'

/** How long one step waits for a write to arrive in the AppView. */
const VISIBLE_WITHIN_MS = 10_000
/** How often a step looks. Also the resolution of the latency figures. */
const LOOK_EVERY_MS = 4

const PASSWORD = 'correct-horse-battery'

export interface DemonstrationOptions {
  /** The PDSes; alice lives on the first, bob on the second (or on the first, where there is no other). */
  readonly pds: readonly DemonstrationPds[]
  /** Called once per step, as it ends. */
  readonly onStep?: (step: DemonstrationStep) => void
  /** Posts written one after the other to measure commit-to-visible latency. @defaultValue 40 */
  readonly latencySamples?: number
  readonly signal?: AbortSignal
}

export interface DemonstrationPds {
  readonly url: string
  readonly handleDomain: string
}

export interface DemonstrationStep {
  readonly title: string
  readonly ms: number
  readonly detail?: string
  readonly error?: Error
}

export interface DemonstrationLogin {
  readonly service: string
  readonly handle: string
  readonly password: string
  readonly did: string
}

export interface DemonstrationResult {
  readonly steps: readonly DemonstrationStep[]
  /** No step failed. */
  readonly ok: boolean
  readonly logins: readonly DemonstrationLogin[]
  /** From the PDS's answer to a write until the AppView serves it, through the author's own PDS. */
  readonly latency?: { readonly p50Ms: number; readonly p95Ms: number; readonly samples: number }
  /** The post with an image, a facet, a reply, a like and a repost. */
  readonly post?: { readonly uri: string; readonly cid: string }
}

/**
 * Plays the life of a post with `@atproto/api`: two accounts on two PDSes meet, write, react and read back through
 * the AppView. Stops at the first step that fails; later steps would only repeat its failure.
 */
export async function runDemonstration(
  options: DemonstrationOptions,
): Promise<DemonstrationResult> {
  const { pds, onStep, latencySamples = 40, signal } = options
  const [first, second = first] = pds
  if (first === undefined || second === undefined) throw new RangeError('pds must not be empty')
  const steps: DemonstrationStep[] = []
  const logins: DemonstrationLogin[] = []
  let latency: DemonstrationResult['latency']
  let post: { uri: string; cid: string } | undefined
  /** Distinguishes this run's texts from those of an earlier run on the same data. */
  const mark = `run${Date.now().toString(36)}`

  async function step<T>(title: string, work: () => Promise<readonly [T, string?]>): Promise<T> {
    signal?.throwIfAborted()
    const started = performance.now()
    try {
      const [value, detail] = await work()
      report({
        title,
        ms: performance.now() - started,
        ...(detail === undefined ? {} : { detail }),
      })
      return value
    } catch (cause) {
      const error = toError(cause)
      report({ title, ms: performance.now() - started, error })
      throw new StepFailedError(title, error)
    }
  }

  function report(done: DemonstrationStep): void {
    steps.push(done)
    onStep?.(done)
  }

  try {
    const alice = await step('create alice on the first PDS', () => enter(first, 'alice'))
    const bob = await step('create bob on the second PDS', () => enter(second, 'bob'))
    logins.push(alice.login, bob.login)
    const viewer = alice.agent

    await step('write both profiles, each with an avatar', async () => {
      await Promise.all([
        writeProfile(alice.agent, 'Alice', [34, 96, 180]),
        writeProfile(bob.agent, 'Bob', [180, 72, 34]),
      ])
      return [undefined]
    })
    await step('follow each other', async () => {
      await Promise.all([follow(alice.agent, bob.login.did), follow(bob.agent, alice.login.did)])
      return [undefined]
    })
    post = await step('post with an image and a mention of bob', async () => {
      const image = await uploadPng(alice.agent, 64, [20, 140, 90])
      const text = new RichText({
        text: `Hello @${bob.login.handle}, this ${mark} crosses the network #skywright`,
      })
      await text.detectFacets(alice.agent)
      if (text.facets?.length !== 2)
        throw new Error(`expected two facets, found ${text.facets?.length ?? 0}`)
      const written = await alice.agent.post({
        text: text.text,
        facets: text.facets,
        langs: ['en'],
        embed: { $type: 'app.bsky.embed.images', images: [{ image, alt: 'a green gradient' }] },
      })
      return [written, written.uri]
    })
    const target = post
    await until('the post in the AppView', () => getPost(bob.agent, target.uri), signal)
    const reply = await step('reply, like and repost as bob', async () => {
      const [written] = await Promise.all([
        bob.agent.post({ text: `Arrived, ${mark}`, reply: { root: target, parent: target } }),
        bob.agent.like(target.uri, target.cid),
        bob.agent.repost(target.uri, target.cid),
      ])
      return [written, written.uri]
    })
    await step('edit the profile of alice', async () => {
      await alice.agent.upsertProfile((existing) => ({ ...existing, displayName: `Alice ${mark}` }))
      return [undefined]
    })
    await step('post something and delete it again', async () => {
      const regretted = await alice.agent.post({ text: `never mind ${mark}` })
      await until('the post to delete', () => getPost(viewer, regretted.uri), signal)
      await alice.agent.deletePost(regretted.uri)
      await until(
        'the delete',
        async () => ((await getPost(viewer, regretted.uri)) === undefined ? true : undefined),
        signal,
      )
      return [undefined, 'gone from the AppView too']
    })

    await step("read the timeline through alice's PDS", async () => {
      const found = await until(
        "bob's reply and repost in the timeline",
        async () => {
          const { data } = await viewer.getTimeline({ limit: 50 })
          const uris = data.feed.map((item) => item.post.uri)
          const repost = data.feed.some(
            (item) =>
              item.post.uri === target.uri &&
              item.reason?.$type === 'app.bsky.feed.defs#reasonRepost',
          )
          return uris.includes(target.uri) && uris.includes(reply.uri) && repost
            ? data.feed
            : undefined
        },
        signal,
      )
      return [undefined, `${found.length} items, with the post, the reply and the repost`]
    })
    await step('read the thread with its reply', async () => {
      const thread = await until(
        'the reply in the thread',
        async () => {
          const { data } = await viewer.getPostThread({ uri: target.uri })
          // The lexicon's union; the field below exists on its main variant only, and is checked.
          const root = data.thread as AppBskyFeedDefs.ThreadViewPost
          return root.replies?.some(
            (child) => (child as AppBskyFeedDefs.ThreadViewPost).post?.uri === reply.uri,
          ) === true
            ? root
            : undefined
        },
        signal,
      )
      return [undefined, `“${(thread.post.record as { text: string }).text}” ← 1 reply`]
    })
    await step('read the right counts', async () => {
      const view = await until(
        'one like, one reply and one repost',
        async () => {
          const seen = await getPost(viewer, target.uri)
          return seen?.likeCount === 1 && seen.replyCount === 1 && seen.repostCount === 1
            ? seen
            : undefined
        },
        signal,
      )
      const profile = await until(
        'the edited profile with its counts',
        async () => {
          const { data } = await viewer.getProfile({ actor: alice.login.handle })
          return data.displayName === `Alice ${mark}` &&
            data.followersCount === 1 &&
            data.followsCount === 1
            ? data
            : undefined
        },
        signal,
      )
      return [
        undefined,
        `likes ${view.likeCount}, replies ${view.replyCount}, reposts ${view.repostCount}; ${profile.displayName}: ${profile.postsCount} posts, ${profile.followersCount} follower`,
      ]
    })
    await step('find the post and the account by search', async () => {
      const { data: posts } = await viewer.app.bsky.feed.searchPosts({ q: mark })
      if (!posts.posts.some((found) => found.uri === target.uri))
        throw new Error('the post was not found')
      const { data: actors } = await viewer.searchActors({ q: 'bob' })
      if (!actors.actors.some((found) => found.did === bob.login.did))
        throw new Error('bob was not found')
      return [undefined, `${posts.posts.length} posts, ${actors.actors.length} accounts`]
    })
    latency = await step(`measure commit-to-visible over ${latencySamples} posts`, async () => {
      const samples: number[] = []
      for (let i = 0; i < latencySamples; i++) {
        const written = await bob.agent.post({ text: `tick ${i} ${mark}` })
        const committed = performance.now()
        await until('a tick', () => getPost(bob.agent, written.uri), signal)
        samples.push(performance.now() - committed)
      }
      samples.sort((a, b) => a - b)
      const at = (share: number): number =>
        samples[Math.min(samples.length - 1, Math.floor(samples.length * share))] ?? Number.NaN
      const figures = { p50Ms: at(0.5), p95Ms: at(0.95), samples: samples.length }
      return [figures, `p50 ${figures.p50Ms.toFixed(0)} ms, p95 ${figures.p95Ms.toFixed(0)} ms`]
    })
  } catch (error) {
    // A failed step is in the list already; a stopped run only ends early.
    if (!(error instanceof StepFailedError) && signal?.aborted !== true) {
      report({ title: 'wait', ms: 0, error: toError(error) })
    }
  }
  return {
    steps,
    ok: steps.every((done) => done.error === undefined) && latency !== undefined,
    logins,
    ...(latency === undefined ? {} : { latency }),
    ...(post === undefined ? {} : { post: { uri: post.uri, cid: post.cid } }),
  }
}

function toError(value: unknown): Error {
  return value instanceof Error ? value : new Error(String(value))
}

class StepFailedError extends Error {
  override readonly name = 'StepFailedError'
  constructor(title: string, cause: Error) {
    super(`step failed; step=${title}`, { cause })
  }
}

interface Entered {
  readonly agent: AtpAgent
  readonly login: DemonstrationLogin
}

/** Creates the account, or signs in where an earlier run on the same data has made it. */
async function enter(pds: DemonstrationPds, name: string): Promise<readonly [Entered, string]> {
  const agent = new AtpAgent({ service: pds.url })
  const handle = `${name}.${pds.handleDomain}`
  let how = 'created'
  try {
    await agent.createAccount({ handle, email: `${name}@example.com`, password: PASSWORD })
  } catch (error) {
    if ((error as { error?: string }).error !== 'HandleNotAvailable') throw error
    await agent.login({ identifier: handle, password: PASSWORD })
    how = 'signed in'
  }
  const did = agent.assertDid
  return [
    { agent, login: { service: pds.url, handle, password: PASSWORD, did } },
    `${how} ${handle}, ${did}`,
  ]
}

async function writeProfile(
  agent: AtpAgent,
  name: string,
  color: readonly [number, number, number],
): Promise<void> {
  const avatar = await uploadPng(agent, 96, color)
  await agent.upsertProfile((existing) => ({
    ...existing,
    displayName: name,
    description: `${name} of the demonstration`,
    avatar,
  }))
}

async function uploadPng(
  agent: AtpAgent,
  size: number,
  color: readonly [number, number, number],
): Promise<BlobRef> {
  const { data } = await agent.uploadBlob(drawPng(size, color), { encoding: 'image/png' })
  return data.blob
}

/** Follows, unless an earlier run on the same data already did. */
async function follow(agent: AtpAgent, did: string): Promise<void> {
  const { records } = await agent.app.bsky.graph.follow.list({ repo: agent.assertDid, limit: 100 })
  if (!records.some((record) => record.value.subject === did)) await agent.follow(did)
}

async function getPost(
  agent: AtpAgent,
  uri: string,
): Promise<AppBskyFeedDefs.PostView | undefined> {
  const { data } = await agent.getPosts({ uris: [uri] })
  return data.posts[0]
}

async function until<T>(
  what: string,
  look: () => Promise<T | undefined>,
  signal?: AbortSignal,
): Promise<T> {
  const deadline = performance.now() + VISIBLE_WITHIN_MS
  for (;;) {
    const found = await look()
    if (found !== undefined) return found
    if (performance.now() > deadline) throw new Error(`waited ${VISIBLE_WITHIN_MS} ms for ${what}`)
    await delay(LOOK_EVERY_MS, undefined, signal === undefined ? {} : { signal })
  }
}
