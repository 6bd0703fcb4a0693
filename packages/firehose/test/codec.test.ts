import { cidForCbor, encodeCbor } from '@skywright/repo'
import { encodeErrorFrame, encodeMessageFrame } from '@skywright/xrpc/frame'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeEvent, encodeEvent } from '../src/codec.ts'
import { FirehoseError, InvalidFrameError } from '../src/errors.ts'
import type { CommitEvent, RepoEvent } from '../src/event.ts'
import { patchSeq, peekFrame } from '../src/peek.ts'
import { haveFixtures, liveFrames } from './fixtures.ts'

const cid = (text: string) => cidForCbor(encodeCbor({ text }))
const did = 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa'
const time = '2026-01-01T00:00:00.000Z'

const commit: CommitEvent = {
  type: 'commit',
  seq: 7,
  did,
  commit: cid('commit'),
  rev: '3lyqw6emh2s2h',
  since: '3lyqw6emh2s2g',
  prevData: cid('data'),
  ops: [
    { action: 'create', path: 'app.bsky.feed.post/1', cid: cid('a') },
    { action: 'update', path: 'app.bsky.feed.post/2', cid: cid('b'), prev: cid('c') },
    { action: 'delete', path: 'app.bsky.feed.post/3', cid: null, prev: cid('d') },
  ],
  blocks: new Uint8Array([1, 2, 3]),
  time,
}

const events: readonly RepoEvent[] = [
  commit,
  { type: 'sync', seq: 7, did, rev: '3lyqw6emh2s2h', blocks: new Uint8Array([9]), time },
  { type: 'identity', seq: 7, did, handle: 'alice.test', time },
  { type: 'identity', seq: 7, did, time },
  { type: 'account', seq: 7, did, active: true, time },
  { type: 'account', seq: 7, did, active: false, status: 'deleted', time },
  { type: 'account', seq: 7, did, active: true, status: 'throttled', time },
  { type: 'account', seq: 7, did, active: false, status: 'of the future', time },
]

const seqs = fc.oneof(
  fc.integer({ min: 1, max: 70_000 }),
  fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
)

describe('encodeEvent and decodeEvent', () => {
  it.each(events)('keep a $type event', (event) => {
    expect(decodeEvent(encodeEvent(event, 7))).toEqual(event)
  })

  it('put the given number into the frame, whatever the event says', () => {
    for (const event of events)
      expect(decodeEvent(encodeEvent(event, 99))).toMatchObject({ seq: 99 })
  })

  it('keep an info, which has no number', () => {
    const info = { type: 'info', name: 'OutdatedCursor', message: 'missed some' } as const
    expect(decodeEvent(encodeEvent(info, 0))).toEqual(info)
  })

  it('write the fields the lexicon requires of a commit', () => {
    expect(peekFrame(encodeEvent(commit, 3))).toEqual({
      op: 1,
      type: '#commit',
      seq: 3,
      did,
      rev: commit.rev,
      paths: commit.ops.map((op) => op.path),
    })
  })

  it('refuse to write a number that is none', () => {
    for (const seq of [0, -1, 1.5, Number.NaN, 2 ** 53]) {
      expect(() => encodeEvent(commit, seq)).toThrow(RangeError)
    }
  })

  it('ignore unknown fields', () => {
    const frame = encodeMessageFrame('#identity', { seq: 1, did, time, later: { deep: [1] } })
    expect(decodeEvent(frame)).toEqual({ type: 'identity', seq: 1, did, time })
  })

  it.each([
    ['FutureCursor', 'FutureCursor'],
    ['ConsumerTooSlow', 'ConsumerTooSlow'],
    ['SomethingElse', 'StreamError'],
  ])('throw for the error frame %s', (name, code) => {
    expect(() => decodeEvent(encodeErrorFrame(name, 'why'))).toThrow(
      expect.objectContaining({ code }),
    )
  })

  it('ignore what a commit no longer tells: rebase, tooBig, blobs and prev', () => {
    const body = {
      seq: 7,
      rebase: true,
      tooBig: true,
      repo: did,
      commit: commit.commit,
      rev: commit.rev,
      since: commit.since,
      prev: cid('prev'),
      prevData: commit.prevData,
      blocks: commit.blocks,
      ops: [],
      blobs: ['no link'],
      time,
    }
    expect(decodeEvent(encodeMessageFrame('#commit', body))).toEqual({ ...commit, ops: [] })
  })

  it('say that an unknown type is unknown, not invalid', () => {
    expect(() => decodeEvent(encodeMessageFrame('#handle', { seq: 1, did }))).toThrow(
      expect.objectContaining({ code: 'UnknownFrame', type: '#handle' }),
    )
  })

  it.each([
    ['seq', 0],
    ['seq', '1'],
    ['seq', undefined],
    ['repo', 1],
    ['commit', 'text'],
    ['rev', null],
    ['since', 4],
    ['blocks', 'AAAA'],
    ['ops', {}],
    ['ops', [1]],
    ['ops', [{ action: 'move', path: 'a/b', cid: null }]],
    ['ops', [{ action: 'create', path: 5, cid: null }]],
    ['ops', [{ action: 'create', path: 'a/b', cid: 'x' }]],
    ['ops', [{ action: 'create', path: 'a/'.padEnd(900, 'b'), cid: null }]],
    ['prevData', 'x'],
    ['time', 1],
  ])('refuse a commit whose %s is %j', (field, value) => {
    const body: Record<string, unknown> = {
      seq: 1,
      rebase: false,
      tooBig: false,
      repo: did,
      commit: cid('commit'),
      rev: 'r',
      since: null,
      blocks: new Uint8Array(),
      ops: [],
      blobs: [],
      time,
    }
    expect(() => decodeEvent(encodeMessageFrame('#commit', body))).not.toThrow()
    if (value === undefined) delete body[field]
    else body[field] = value
    expect(() => decodeEvent(encodeMessageFrame('#commit', body))).toThrow(
      expect.objectContaining({ code: 'InvalidFrame', part: 'body' }),
    )
  })

  it.each([
    ['active', undefined],
    ['active', 'true'],
    ['active', null],
    ['status', 5],
    ['did', undefined],
    ['time', null],
  ])('refuse an account event whose %s is %j', (field, value) => {
    const body: Record<string, unknown> = { seq: 1, did, time, active: true }
    expect(() => decodeEvent(encodeMessageFrame('#account', body))).not.toThrow()
    if (value === undefined) delete body[field]
    else body[field] = value
    expect(() => decodeEvent(encodeMessageFrame('#account', body))).toThrow(
      expect.objectContaining({ code: 'InvalidFrame', part: 'body' }),
    )
  })

  it('tell bytes that are no frame from a body that is no event', () => {
    const cut = encodeEvent(commit, 1).subarray(0, -1)
    for (const bytes of [cut, Uint8Array.of(), Uint8Array.of(0xff, 0), encodeCbor({ op: 1 })]) {
      expect(() => decodeEvent(bytes)).toThrow(
        expect.objectContaining({ code: 'InvalidFrame', part: 'framing' }),
      )
    }
  })

  it('throw only their own errors on garbage', () => {
    const mutated = fc
      .tuple(fc.constantFrom(...events), fc.nat(400), fc.uint8Array({ maxLength: 6 }))
      .map(([event, at, noise]) => {
        const frame = encodeEvent(event, 7)
        frame.set(noise.subarray(0, Math.max(0, frame.length - at)), Math.min(at, frame.length))
        return frame
      })
    let refused = 0
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 300 }), mutated), (bytes) => {
        for (const read of [decodeEvent, peekFrame, (b: Uint8Array) => patchSeq(b, 5)]) {
          try {
            read(bytes)
          } catch (error) {
            refused++
            expect(error).toBeInstanceOf(FirehoseError)
          }
        }
      }),
      { numRuns: 1_000 },
    )
    expect(refused).toBeGreaterThan(500)
  })
})

describe('patchSeq', () => {
  it('gives what encoding with that number gives', () => {
    fc.assert(
      fc.property(fc.constantFrom(...events), seqs, seqs, (event, from, to) => {
        expect(patchSeq(encodeEvent(event, from), to)).toEqual(encodeEvent(event, to))
      }),
    )
  })

  it('writes every length of number as encoding does', () => {
    const bounds = [1, 23, 24, 255, 256, 65_535, 65_536, 2 ** 32 - 1, 2 ** 32]
    for (const from of [...bounds, Number.MAX_SAFE_INTEGER]) {
      for (const to of [...bounds, Number.MAX_SAFE_INTEGER]) {
        expect(patchSeq(encodeEvent(commit, from), to)).toEqual(encodeEvent(commit, to))
      }
    }
  })

  it('keeps fields it does not know', () => {
    const body = { zz: [1, { y: 'x' }], seq: 5, did, time, a: new Uint8Array([7]) }
    const frame = encodeMessageFrame('#identity', body)
    expect(patchSeq(frame, 1_000_000)).toEqual(
      encodeMessageFrame('#identity', { ...body, seq: 1_000_000 }),
    )
  })

  it('refuses frames without a number, and numbers that are none', () => {
    expect(() => patchSeq(encodeErrorFrame('X'), 5)).toThrow(InvalidFrameError)
    expect(() => patchSeq(encodeMessageFrame('#info', { name: 'x' }), 5)).toThrow(InvalidFrameError)
    expect(() => patchSeq(encodeEvent(commit, 1), 0)).toThrow(RangeError)
  })

  it('is not led astray by depth or by lengths that lie', () => {
    const header = encodeCbor({ op: 1, t: '#x' })
    const frame = (...body: number[]) => Uint8Array.from([...header, ...body])
    const deep = frame(0xa1, 0x61, 0x61, ...Array.from({ length: 5_000 }, () => 0x81), 0)
    const long = frame(0xa1, 0x61, 0x61, 0x5b, 0, 0x1f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)
    const many = frame(0xbb, 0, 0x1f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)
    const wide = frame(0xa1, 0x61, 0x61, 0x9a, 0xff, 0xff, 0xff, 0xff)
    for (const bad of [deep, long, many, wide]) {
      expect(() => patchSeq(bad, 5)).toThrow(InvalidFrameError)
      expect(() => peekFrame(bad)).toThrow(InvalidFrameError)
    }
  })
})

describe.skipIf(!haveFixtures('live-firehose'))('on real frames', () => {
  it('decodes all of them, and peeks what it decodes', () => {
    const frames = liveFrames()
    const counts: Record<string, number> = {}
    const ops: Record<string, number> = {}
    for (const frame of frames) {
      const event = decodeEvent(frame)
      counts[event.type] = (counts[event.type] ?? 0) + 1
      if (event.type === 'info') throw new Error('no info in the fixture')
      const peek = peekFrame(frame)
      expect(peek).toMatchObject({ op: 1, type: `#${event.type}`, seq: event.seq, did: event.did })
      if (event.type === 'commit') {
        expect(peek.rev).toBe(event.rev)
        expect(peek.paths).toEqual(event.ops.map((op) => op.path))
        for (const op of event.ops) ops[op.action] = (ops[op.action] ?? 0) + 1
      }
      const patched = patchSeq(frame, 3)
      expect(decodeEvent(patched)).toEqual({ ...event, seq: 3 })
      expect(patchSeq(patched, event.seq)).toEqual(frame)
    }
    expect(counts).toEqual({ commit: 148, identity: 1, account: 1 })
    expect(ops).toEqual({ create: 144, update: 2, delete: 4 })
  })
})
