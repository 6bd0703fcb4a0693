import { Tap, type TapEvent } from '@atproto/tap'
import { cidForCbor, encodeCbor, lexToJson } from '@skywright/repo'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { DisconnectedError } from '../src/errors.ts'
import { MAX_JSON_MESSAGE_BYTES } from '../src/limits.ts'
import type { OpenStream } from '../src/socket.ts'
import type { FirehoseIssue, StreamEvent } from '../src/stream-event.ts'
import { subscribeTap, type SubscribeTapOptions } from '../src/tap/index.ts'
import { SimulatedNetwork } from '../src/testing/index.ts'
import { openWebSocket } from '../src/ws.ts'
import { tapMessages, TapServer, type TapText } from './support/tap-server.ts'

const did = 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa'
const rev = '3lyqw6emh2s2h'
const collection = 'app.bsky.feed.post'

async function simulated(steps = 150): Promise<TapText[]> {
  const network = await SimulatedNetwork.create({ accounts: 5, seed: 44 })
  for (let i = 0; i < steps; i++) await network.step()
  const account = network.accounts[0]!
  await network.send(account, network.accountEvent({ ...account, active: false }, 'deleted'))
  return tapMessages(await network.hosts[0]!.log.read(0, { maxEvents: 10_000, maxBytes: 1e9 }))
}

/** A message about one record; `changes` are made to what it says of it. */
function recordText(id: number, changes: object = {}, record: object = { text: 'hi' }): TapText {
  const cid = cidForCbor(encodeCbor(record)).toString()
  const told = { live: false, did, rev, collection, rkey: `r${String(id)}`, action: 'create' }
  const body = { ...told, cid, record: lexToJson(record as never), ...changes }
  return { id, did, live: false, text: JSON.stringify({ id, type: 'record', record: body }) }
}

const raw = (id: number, text: string): TapText => ({ id, did, live: false, text })

/** Reads until `enough`. */
async function read(
  options: Omit<SubscribeTapOptions, 'onIssue'> & { readonly service: string },
  enough: (events: readonly StreamEvent[]) => boolean | Promise<boolean>,
) {
  const stop = new AbortController()
  const events: StreamEvent[] = []
  const issues: FirehoseIssue[] = []
  for await (const event of subscribeTap({
    open: openWebSocket,
    backoff: { baseMs: 1 },
    signal: stop.signal,
    onIssue: (issue) => issues.push(issue),
    ...options,
  })) {
    events.push(event)
    if (await enough(events)) break
  }
  stop.abort()
  return { events, issues }
}

/** What the client of the reference makes of everything a Tap sends until it was all acknowledged. */
async function readWithReference(messages: readonly TapText[]): Promise<TapEvent[]> {
  const events: TapEvent[] = []
  const failed = Promise.withResolvers<void>()
  await using tap = await TapServer.start(messages)
  await using channel = new Tap(tap.url).channel({
    onEvent: async (event, { ack }) => {
      events.push(event)
      await ack()
    },
    onError: (error) => {
      failed.reject(error)
    },
  })
  const run = channel.start()
  await Promise.race([tap.acknowledgements(messages.length), failed.promise])
  await channel.destroy()
  await run
  return events
}

describe('subscribeTap', () => {
  it('gives what the client of the reference gives of the same messages', async () => {
    const messages = await simulated()
    const theirs = await readWithReference(messages)
    expect(theirs.length).toBe(messages.length)
    await using tap = await TapServer.start(messages)
    const count = theirs.reduce((sum, { type }) => sum + (type === 'identity' ? 2 : 1), 0)
    const { events, issues } = await read({ service: tap.url }, ({ length }) => length === count)
    expect(issues).toEqual([])
    const byId = new Map(theirs.map((event) => [event.id, event]))
    const kinds = { record: 0, deleted: 0, historical: 0, account: 0 }
    for (const event of events) {
      const their = byId.get(event.seq)!
      expect(event).toMatchObject({ did: their.did, source: tap.url, verified: false })
      if (event.type === 'commit' && their.type === 'record') {
        const [op, ...others] = event.ops
        expect(others).toEqual([])
        const { action, collection: type, rkey, rev: at, cid, live } = their
        expect(op).toMatchObject({ action, collection: type, rkey, path: `${type}/${rkey}` })
        expect([event.rev, event.live, op?.cid?.toString()]).toEqual([at, live, cid])
        if (their.record === undefined) expect(op?.record).toBeUndefined()
        else expect(op?.record).toEqual(encodeCbor(their.record))
        kinds.record++
        if (action === 'delete') kinds.deleted++
        if (!live) kinds.historical++
      } else if (event.type === 'account' && their.type === 'identity') {
        const status = event.active ? { active: true } : { active: false, status: their.status }
        expect(event).toMatchObject(status)
        expect(event.active).toBe(their.isActive)
        kinds.account++
      } else {
        expect([event.type, their.type]).toEqual(['identity', 'identity'])
        expect(event).toMatchObject({ handle: (their as { handle: string }).handle })
      }
    }
    expect(kinds.record).toBeGreaterThan(150)
    expect(kinds.deleted).toBeGreaterThan(3)
    expect(kinds.historical).toBeGreaterThan(40)
    expect(kinds.account).toBeGreaterThan(5)
  })

  it('acknowledges a message when the next one is asked for, and not the one it was left in', async () => {
    const messages = Array.from({ length: 5 }, (_, i) => recordText(i + 1))
    await using tap = await TapServer.start(messages)
    let handled = 0
    for await (const event of subscribeTap({
      service: tap.url,
      open: openWebSocket,
      onIssue: () => undefined,
    })) {
      expect(event.seq).toBe(handled + 1)
      expect(tap.acknowledged).not.toContain(event.seq)
      if (++handled === 3) {
        await tap.acknowledgements(2)
        break
      }
    }
    expect(tap.acknowledged).toEqual([1, 2])
    const { events } = await read({ service: tap.url }, ({ length }) => length === 3)
    expect(events.map(({ seq }) => seq)).toEqual([3, 4, 5])
  })

  it('recognises what Tap repeats on a connection, and acknowledges it again', async () => {
    const messages = Array.from({ length: 6 }, (_, i) => recordText(i + 1))
    const seen: number[] = []
    await using tap = await TapServer.start(messages)
    const stop = new AbortController()
    for await (const { seq } of subscribeTap({
      service: tap.url,
      open: openWebSocket,
      signal: stop.signal,
      onIssue: () => undefined,
    })) {
      seen.push(seq)
      if (seq === 3) tap.repeat()
      if (seq === 6) void tap.acknowledgements(9).then(() => stop.abort())
    }
    expect(seen).toEqual([1, 2, 3, 4, 5, 6])
    expect(new Set(tap.acknowledged)).toEqual(new Set(seen))
  })

  it('goes on after a lost connection with what was not acknowledged; nothing is acknowledged for another connection', async () => {
    const messages = Array.from({ length: 4 }, (_, i) => ({ ...recordText(i + 1), live: true }))
    await using tap = await TapServer.start(messages)
    const seen: number[] = []
    const issues: FirehoseIssue[] = []
    for await (const { seq } of subscribeTap({
      service: tap.url,
      open: openWebSocket,
      backoff: { baseMs: 1 },
      onIssue: (issue) => issues.push(issue),
    })) {
      seen.push(seq)
      if (seen.length === 2) tap.cut()
      if (seq === 4) break
    }
    expect(seen).toEqual([1, 2, 2, 3, 4])
    expect(tap.acknowledged).toEqual([1, 2, 3])
    expect(issues).toMatchObject([{ kind: 'reconnect', attempt: 1 }])
  })

  it('reports junk with its reason, acknowledges what has a number, and goes on', async () => {
    const mismatch = recordText(3, { record: { text: 'not what the cid says' } })
    const junk = [
      raw(1, 'no json'),
      raw(2, '{"id":"2","type":"record"}'),
      mismatch,
      raw(4, '{"id":4,"type":"sync","sync":{}}'),
      raw(5, '{"id":5,"type":"record"}'),
      recordText(6, { did: 'nobody' }),
      recordText(7, { action: 'upsert' }),
      recordText(8, { live: 'yes' }),
      recordText(9, { collection: 'no-nsid' }),
      recordText(10, { rkey: 'a/b' }),
      recordText(11, { cid: 'bafy' }),
      recordText(12, { record: null }),
      recordText(13, { record: { half: 0.5 } }),
      recordText(14, { rev: 7 }),
      raw(15, '{"id":15,"type":"identity","identity":{"did":"did:web:a.test","handle":"a.test"}}'),
      raw(16, '{"id":16,"type":7}'),
      raw(17, '{"id":-17,"type":"record"}'),
    ]
    await using tap = await TapServer.start([...junk, recordText(20)])
    const numbers = Array.from({ length: 14 }, (_, i) => i + 3)
    const { issues } = await read({ service: tap.url }, async () => {
      await tap.acknowledgements(numbers.length)
      return true
    })
    expect(issues).toHaveLength(junk.length)
    expect(issues[2]).toMatchObject({ kind: 'rejected', reason: 'record-mismatch', seq: 3, did })
    expect(issues[3]).toMatchObject({ kind: 'unknown-frame', type: 'sync', seq: 4 })
    for (const [index, issue] of issues.entries()) {
      if (index !== 2 && index !== 3) expect(issue).toMatchObject({ kind: 'invalid-frame' })
      if (index >= 4 && index < 16) expect(issue).toMatchObject({ seq: index + 1 })
    }
    expect(tap.acknowledged).toEqual(numbers)
  })

  it('tells an issue once, and ends with what onIssue throws', async () => {
    await using tap = await TapServer.start([raw(1, '{"id":1,"type":"sync","sync":{}}')])
    const kinds: string[] = []
    const stream = subscribeTap({
      service: tap.url,
      open: openWebSocket,
      onIssue: ({ kind }) => {
        kinds.push(kind)
        throw new Error('no more')
      },
    })
    await expect(stream.next()).rejects.toThrow('no more')
    expect(kinds).toEqual(['unknown-frame'])
  })

  it('takes what the reference takes, and refuses what it refuses, of any change to a message', async () => {
    const values = fc.oneof(
      fc.constantFrom(null, true, false, 0, 1, '', 'a', 'did:plc:x', 'create', 'delete', {}, []),
      fc.string({ maxLength: 12 }),
      fc.jsonValue({ maxDepth: 1 }),
    )
    const fields = ['did', 'rev', 'collection', 'rkey', 'action', 'record', 'cid', 'live']
    const base = JSON.parse(recordText(1).text) as { record: Record<string, unknown> }
    const { parseTapEvent } = await import('@atproto/tap')
    let taken = 0
    let refused = 0
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...fields), values, async (field, value) => {
        const text = JSON.stringify({ ...base, record: { ...base.record, [field]: value } })
        const theirs = (() => {
          try {
            return parseTapEvent(JSON.parse(text) as never)
          } catch {
            return undefined
          }
        })()
        const end = new DisconnectedError('end')
        const stop = new AbortController()
        const events: StreamEvent[] = []
        const issues: FirehoseIssue[] = []
        for await (const event of subscribeTap({
          service: 'http://tap.test',
          signal: stop.signal,
          onIssue: (issue) => {
            issues.push(issue)
            if (issue.kind === 'reconnect') stop.abort()
          },
          open: async function* (_, { onSender }) {
            onSender?.(() => undefined)
            yield new TextEncoder().encode(text)
            throw end
          },
        }))
          events.push(event)
        expect(events.length + issues.filter(({ kind }) => kind !== 'reconnect').length).toBe(1)
        // Ours is the stricter: it also asks for what an operation needs, and that a record is what its CID says.
        if (events.length > 0) expect(theirs).toBeDefined()
        if (theirs === undefined) expect(events).toEqual([])
        if (events.length > 0) taken++
        else refused++
      }),
      { numRuns: 600, seed: 5 },
    )
    expect(taken).toBeGreaterThan(20)
    expect(refused).toBeGreaterThan(300)
  })

  it('filters as every source does, acknowledging what it leaves out', async () => {
    const other = { did: 'did:plc:bbbbbbbbbbbbbbbbbbbbbbbb' }
    const identity = { did, handle: 'a.test', is_active: false, status: 'deleted' }
    await using tap = await TapServer.start([
      recordText(1),
      recordText(2, { collection: 'app.bsky.feedback.post' }),
      recordText(3, { collection: 'app.bsky.graph.follow' }),
      recordText(4, other),
      raw(5, JSON.stringify({ id: 5, type: 'identity', identity })),
      recordText(6),
    ])
    const filter = { collections: ['app.bsky.feed.*'], dids: [did] }
    const { events } = await read({ service: tap.url, filter }, async (all) => {
      if (all.at(-1)?.seq !== 6) return false
      await tap.acknowledgements(5)
      return true
    })
    expect(events.map(({ seq, type }) => `${String(seq)} ${type}`)).toEqual([
      '1 commit',
      '5 identity',
      '5 account',
      '6 commit',
    ])
    expect(events[2]).toMatchObject({ active: false, status: 'deleted' })
    expect(tap.acknowledged).toEqual([1, 2, 3, 4, 5])
  })

  it('says its password, in any script, where the socket can; where it cannot it says so', async () => {
    await using tap = await TapServer.start([recordText(1)])
    const password = 'hunter2 пароль'
    await read({ service: tap.url, password }, ({ length }) => length === 1)
    const expected = `Basic ${Buffer.from(`admin:${password}`).toString('base64')}`
    expect(tap.authorizations).toEqual([expected])
    const stream = subscribeTap({ service: tap.url, password, onIssue: () => undefined })
    await expect(stream.next()).rejects.toThrow(TypeError)
  })

  it('needs a socket that sends', async () => {
    const open: OpenStream = async function* () {
      yield new TextEncoder().encode(recordText(1).text)
    }
    const stream = subscribeTap({ service: 'http://tap.test', open, onIssue: () => undefined })
    await expect(stream.next()).rejects.toThrow(TypeError)
  })

  it('takes the largest record whatever JSON makes of it, and leaves little waiting', async () => {
    let bounds: readonly number[] = []
    const open: OpenStream = (url, options) => {
      bounds = [options.maxFrameBytes, options.highWaterBytes]
      return openWebSocket(url, options)
    }
    const text = '\u0001'.repeat(999_000)
    const big = recordText(1, {}, { text })
    expect(big.text.length).toBeGreaterThan(5_900_000)
    await using tap = await TapServer.start([big])
    const { events } = await read({ service: tap.url, open }, ({ length }) => length === 1)
    expect(events[0]).toMatchObject({ type: 'commit', ops: [{ record: encodeCbor({ text }) }] })
    expect(bounds).toEqual([MAX_JSON_MESSAGE_BYTES, 1_048_576])
  })

  it('hands over every message at least once and in order, however often it is cut off', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 1, maxLength: 8 }),
        fc.integer({ min: 0, max: 1 }),
        async (cuts, how) => {
          const accounts = ['a', 'b', 'c'].map((letter) => `did:plc:${letter.repeat(24)}`)
          const messages = Array.from({ length: 40 }, (_, i) => {
            const owner = accounts[i % 3]!
            return { ...recordText(i + 1, { did: owner, live: true }), did: owner, live: true }
          })
          await using tap = await TapServer.start(messages)
          const last = new Map<string, number>()
          const handled = new Set<number>()
          for (let round = 0; handled.size < 40; round++) {
            let left = cuts[round] ?? 100
            const options = { service: tap.url, open: openWebSocket, backoff: { baseMs: 1 } }
            for await (const { seq, did: of } of subscribeTap({
              ...options,
              onIssue: () => undefined,
            })) {
              // Of one account nothing is skipped: what comes is what came last, once more, or the next.
              const before = last.get(of)
              if (before !== undefined) expect([before, before + 3]).toContain(seq)
              else expect(seq).toBeLessThanOrEqual(3)
              last.set(of, seq)
              handled.add(seq)
              if (handled.size === 40 || (--left === 0 && how === 0)) break
              if (left === 0) tap.cut()
            }
          }
        },
      ),
      { numRuns: 25, seed: 8 },
    )
  })
})
