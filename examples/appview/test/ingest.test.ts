import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { commitEvent } from '@skywright/firehose'
import { createMemoryResolver, type MemoryResolver } from '@skywright/identity/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type AppView, type AppViewConfig, devConfig, startAppView } from '../src/index.ts'
import { type Resident, SmallPds } from './small-pds.ts'
import { until } from './until.ts'

const POST = 'app.bsky.feed.post'
const LIKE = 'app.bsky.feed.like'
const FOLLOW = 'app.bsky.graph.follow'
const PROFILE = 'app.bsky.actor.profile'

let resolver: MemoryResolver
let pds: SmallPds
let stack: AsyncDisposableStack
beforeEach(async () => {
  stack = new AsyncDisposableStack()
  resolver = createMemoryResolver()
  pds = stack.use(await new SmallPds(resolver).listen())
})
afterEach(() => stack.disposeAsync())

function folder(): string {
  const directory = mkdtempSync(join(tmpdir(), 'appview-ingest-'))
  stack.defer(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

async function start(
  dataDirectory: string = folder(),
  overrides: Partial<AppViewConfig> = {},
): Promise<AppView> {
  const required = { dataDirectory, plcUrl: 'http://localhost:1', relay: pds.url }
  const appView = await startAppView(devConfig(required, overrides), { resolver })
  stack.use(appView)
  await until(appView.index, async () => {
    const { ingest, missed, repos } = await appView.status()
    const listed = missed.length > 0 && missed.every(({ pending }) => !pending)
    return ingest.connected && listed && repos.queued + repos.fetching === 0
  })
  return appView
}

async function posts(appView: AppView, { did }: Resident): Promise<string[]> {
  const { rows } = await appView.index.select('post').where({ did }).page({ limit: 1_000 })
  return rows.map(({ uri }) => uri).toSorted()
}

/** Everything the source wrote is indexed, live or by backfill. */
async function caughtUp(appView: AppView): Promise<boolean> {
  for (const { did, repo } of pds.residents.values()) {
    const indexed = (await appView.index.actor(did))?.rev
    if (indexed === undefined || indexed < (await repo.head()).rev) return false
  }
  return true
}

/** Accounts that follow, like and answer each other; the same every time. */
async function populate(): Promise<readonly [Resident, Resident]> {
  const alice = await pds.account('alice')
  const bob = await pds.account('bob')
  const record = { $type: PROFILE, displayName: 'Alice' }
  await pds.write(alice, { action: 'create', collection: PROFILE, rkey: 'self', record })
  await pds.create(alice, FOLLOW, { subject: bob.did })
  const [uri = ''] = await pds.create(alice, POST, { text: 'hello' }, { text: 'again' })
  const cid = (await alice.repo.list(POST)).at(-1)?.cid.toString() ?? ''
  const subject = { uri, cid }
  await pds.create(bob, LIKE, { subject })
  await pds.create(bob, POST, { text: 'hi', reply: { root: subject, parent: subject } })
  await pds.create(bob, 'com.example.unknown', { anything: true })
  return [alice, bob]
}

describe('the live stream', () => {
  it('indexes verified commits, edits, deletes and status as they happen', async () => {
    const appView = await start(undefined, { backfill: false })
    const [alice, bob] = await populate()
    await until(appView.index, () => caughtUp(appView))
    expect(await posts(appView, alice)).toHaveLength(2)
    await until(appView.index, async () => (await appView.index.actor('alice.test')) !== undefined)
    const [first = ''] = await posts(appView, alice)
    expect((await appView.index.counts([first])).get(first)).toMatchObject({ likeCount: 1 })

    const [like] = await bob.repo.list(LIKE)
    await pds.write(bob, { action: 'delete', collection: LIKE, rkey: like!.rkey })
    const record = { $type: PROFILE, displayName: 'Alicia' }
    await pds.write(alice, { action: 'update', collection: PROFILE, rkey: 'self', record })
    await until(appView.index, () => caughtUp(appView))
    expect((await appView.index.counts([first])).get(first)).toMatchObject({ likeCount: 0 })
    const profile = await appView.index.get('profile', `at://${alice.did}/${PROFILE}/self`)
    expect(profile?.displayName).toBe('Alicia')

    expect(pds.fetched).toEqual([])

    const time = new Date().toISOString()
    const account = { type: 'account', seq: 0, did: bob.did, time } as const
    await pds.announce({ ...account, active: false, status: 'deactivated' })
    await until(appView.index, async () => !(await appView.index.actor(bob.did))?.active)
    await until(appView.index, async () => (await posts(appView, bob)).length === 0)
    await pds.announce({ ...account, active: true })
    await until(appView.index, async () => (await appView.index.actor(bob.did))?.active === true)
    await until(appView.index, async () => (await posts(appView, bob)).length === 1)
    await until(appView.index, async () => (await appView.status()).repos.synchronized === 2)
    expect(await appView.index.audit()).toEqual([])
  })

  it('looks a handle up again when it is told that the identity changed', async () => {
    const appView = await start(undefined, { backfill: false })
    const alice = await pds.account('alice')
    await until(appView.index, async () => (await appView.index.actor('alice.test')) !== undefined)
    const { did, key } = alice
    resolver.setAccount({ did, handle: 'ally.test', signingKey: key.publicKey, pds: pds.url })
    await pds.announce({ type: 'identity', seq: 0, did, time: new Date().toISOString() })
    await until(appView.index, async () => (await appView.index.actor('ally.test'))?.did === did)
    expect(await appView.index.actor('alice.test')).toBeUndefined()
  })

  it('refuses a forged commit and repairs what it kept back', async () => {
    const appView = await start(undefined, { backfill: false })
    const alice = await pds.account('alice')
    await pds.create(alice, POST, { text: 'one' })
    await until(appView.index, () => caughtUp(appView))
    const mallory = await pds.account('mallory')
    const { commit } = await mallory.repo.applyWrites([
      {
        action: 'create',
        collection: POST,
        rkey: 'forged',
        record: { $type: POST, text: 'x', createdAt: '2026-01-01T00:00:00Z' },
      },
    ])
    const forged = { ...commitEvent(commit!, new Date().toISOString()), did: alice.did }
    await pds.announce(forged)
    await pds.create(alice, POST, { text: 'two' })
    await until(appView.index, () => caughtUp(appView))
    expect(await posts(appView, alice)).toHaveLength(2)
    const { issues } = (await appView.status()).ingest
    expect(Object.keys(issues).filter((kind) => kind.startsWith('rejected:'))).toHaveLength(1)
  })

  it('keeps a record that does not fit its lexicon out of the views, and goes on', async () => {
    const appView = await start(undefined, { backfill: false })
    const alice = await pds.account('alice')
    await pds.create(alice, POST, { text: 5 }, { text: 'fine' }, { text: 'x'.repeat(4_000) })
    await until(appView.index, () => caughtUp(appView))
    expect(await posts(appView, alice)).toHaveLength(1)
    expect(await appView.index.deadLetters()).toHaveLength(2)
  })
})

describe('the backfill', () => {
  it('completes an AppView that starts after everything happened and was forgotten', async () => {
    const live = await start(undefined, { backfill: false })
    const [alice] = await populate()
    await until(live.index, () => caughtUp(live))
    await pds.forgetEvents()
    const late = await start()
    expect(await posts(late, alice)).toHaveLength(2)
    await until(late.index, async () => (await late.index.actor('alice.test')) !== undefined)
    expect(await late.index.stateHash()).toBe(await live.index.stateHash())
    expect(await late.index.audit()).toEqual([])
    await pds.create(alice, POST, { text: 'live again' })
    await until(late.index, () => caughtUp(late))
    expect(await posts(late, alice)).toHaveLength(3)
    expect(pds.fetched).toHaveLength(2)
  })

  it('learns the status of accounts whose repository is refused', async () => {
    const [alice, bob] = await populate()
    pds.refusals.set(alice.did, 'RepoTakendown').set(bob.did, 'RepoDeactivated')
    const appView = await start()
    expect(await appView.index.actor(alice.did)).toMatchObject({
      active: false,
      status: 'takendown',
    })
    expect(await appView.index.actor(bob.did)).toMatchObject({
      active: false,
      status: 'deactivated',
    })
  })

  it('fetches nothing again after a restart', async () => {
    await populate()
    const directory = folder()
    const first = await start(directory)
    await first[Symbol.asyncDispose]()
    const before = pds.fetched.length
    await start(directory)
    expect(pds.fetched).toHaveLength(before)
  })
})

it('gives figures to Prometheus', async () => {
  const appView = await start()
  const [alice] = await populate()
  await pds.create(alice, POST, { text: 5 })
  // The position follows the events it covers.
  await until(appView.index, async () => {
    const { cursors } = await appView.index.status()
    return (await caughtUp(appView)) && cursors.some(({ cursor }) => cursor === pds.seq)
  })
  await appView.index.reconcile({ repos: [alice.did] })
  const response = await fetch(new URL('/metrics', appView.url))
  expect(response.headers.get('content-type')).toContain('version=0.0.4')
  const text = await response.text()
  const lines = text.trim().split('\n')
  for (const line of lines)
    expect(line).toMatch(
      /^(|# HELP .*|# TYPE [a-z_]+ (counter|gauge|histogram)|[a-z_]+(\{[a-z]+=".*"\})? [0-9.e+-]+)$/,
    )
  for (const name of [
    'lag_seconds',
    'cursor_age_seconds',
    'batch_events_bucket',
    'write_seconds_count',
    'dead_letters_dropped',
    'refused_records_total{kept="true"} 1',
    'repos{state="synchronized"}',
    'commit_to_visible_seconds_bucket',
    'store_failing 0',
  ])
    expect(text).toContain(`appview_${name}`)
  const valueOf = (name: string): number =>
    Number(
      lines
        .find((line) => line.startsWith(`${name} `))
        ?.split(' ')
        .at(-1),
    )
  expect(valueOf('appview_records_total')).toBeGreaterThan(5)
  expect(valueOf('appview_dead_letters')).toBe(1)
  expect(valueOf('appview_commit_to_visible_seconds_count')).toBeGreaterThan(3)
  expect(valueOf(`appview_cursor{source="${pds.url}"}`)).toBe(pds.seq)
  expect(valueOf('appview_reconciled_repos_total{outcome="compared"}')).toBe(1)
})

describe('a restart', () => {
  it('catches up with what happened meanwhile, without gap or double', async () => {
    const directory = folder()
    const [alice] = await populate()
    const first = await start(directory)
    await until(first.index, () => caughtUp(first))
    await pds.create(alice, POST, { text: 'before' })
    await until(first.index, () => caughtUp(first))
    await first[Symbol.asyncDispose]()
    const before = pds.fetched.length
    await pds.create(alice, POST, { text: 'while' }, { text: 'you' }, { text: 'slept' })
    const second = await start(directory)
    await until(second.index, () => caughtUp(second))
    expect(await posts(second, alice)).toHaveLength(6)
    expect(await second.index.audit()).toEqual([])
    await until(second.index, async () => (await second.index.cursor(pds.url)) === pds.seq)
    expect(pds.fetched).toHaveLength(before)
  })

  it('compares with every repository when it had heard nothing live before', async () => {
    const directory = folder()
    const [alice] = await populate()
    const first = await start(directory)
    await until(first.index, () => caughtUp(first))
    await first[Symbol.asyncDispose]()
    await pds.create(alice, POST, { text: 'unheard' })
    const second = await start(directory)
    await until(second.index, () => caughtUp(second))
    expect(await posts(second, alice)).toHaveLength(3)
  })

  it('goes on with a relay that was set up anew and counts from the start', async () => {
    const directory = folder()
    const [alice] = await populate()
    const first = await start(directory)
    const { did } = alice
    const future = { type: 'account', seq: 1_000_000, did, active: true } as const
    await first.index.apply([future], { source: pds.url })
    await first[Symbol.asyncDispose]()
    await pds.create(alice, POST, { text: 'unheard' })
    const second = await start(directory)
    await until(second.index, () => caughtUp(second))
    await until(second.index, async () => (await second.status()).ingest.connected)
    await pds.create(alice, POST, { text: 'heard' })
    await until(second.index, () => caughtUp(second))
    expect(await posts(second, alice)).toHaveLength(4)
  })

  it('compares with every repository when the events in between were forgotten', async () => {
    const directory = folder()
    const [alice, bob] = await populate()
    const first = await start(directory)
    await until(first.index, () => caughtUp(first))
    await first[Symbol.asyncDispose]()
    const [post] = await alice.repo.list(POST)
    await pds.write(alice, { action: 'delete', collection: POST, rkey: post!.rkey })
    await pds.create(bob, POST, { text: 'unheard' })
    const carol = await pds.account('carol')
    await pds.create(carol, POST, { text: 'new here' })
    await pds.forgetEvents()
    const time = new Date().toISOString()
    await pds.announce({ type: 'account', seq: 0, did: bob.did, active: true, time })
    const second = await start(directory)
    await until(second.index, () => caughtUp(second))
    expect(await posts(second, alice)).toHaveLength(1)
    expect(await posts(second, bob)).toHaveLength(2)
    expect(await posts(second, carol)).toHaveLength(1)
    expect(await second.index.audit()).toEqual([])
  })
})
