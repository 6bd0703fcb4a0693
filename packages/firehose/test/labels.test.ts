import { generatePrivateKey, type PrivateKey } from '@skywright/identity/keys'
import { encodeCbor } from '@skywright/repo/cbor'
import { encodeMessageFrame } from '@skywright/xrpc/frame'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createMemoryCursorStore } from '../src/cursor-store.ts'
import { createMemoryEventLog } from '../src/event-log/memory.ts'
import {
  createLabelVerifier,
  encodeLabels,
  decodeLabels,
  LabelState,
  readLabel,
  signLabel,
  subscribeLabels,
  verifyLabel,
  type Label,
  type SignedLabel,
} from '../src/labels/index.ts'
import type { FirehoseIssue } from '../src/stream-event.ts'
import { createFakeClock, createLoopback } from '../src/testing/index.ts'

const src = 'did:plc:labelerlabelerlabelerlab'
const service = 'https://labeler.test'
const base: Label = {
  ver: 1,
  src,
  uri: 'at://did:plc:aaaaaaaaaaaaaaaaaaaaaaaa/app.bsky.feed.post/1',
  val: 'spam',
  cts: '2026-11-01T00:00:00.000Z',
}

function labeler(keys: { label: PrivateKey; account?: PrivateKey }) {
  let resolutions = 0
  const resolver = {
    resolveDid: (did: string) => {
      resolutions++
      if (did !== src) return Promise.reject(new Error('no such labeler'))
      const method = (id: string, key: PrivateKey) => ({
        id: `${did}#${id}`,
        type: 'Multikey',
        controller: did,
        publicKeyMultibase: key.publicKey.multibase,
      })
      const document = {
        id: did,
        verificationMethod: [
          ...(keys.account === undefined ? [] : [method('atproto', keys.account)]),
          method('atproto_label', keys.label),
        ],
      }
      return Promise.resolve({ did, document, source: 'network' as const, ageMs: 0 })
    },
  }
  return { resolver, resolutions: () => resolutions }
}

describe('signLabel and verifyLabel', () => {
  const key = generatePrivateKey('k256')
  const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined })
  const labels: fc.Arbitrary<Label> = fc
    .record({
      cid: optional(fc.constant('bafyreiguce4jh7kcbmof3pmcvasifqtw24b6isakj5ve5ga2b4z4alpc4i')),
      val: fc.string({ minLength: 1, maxLength: 30 }),
      neg: optional(fc.boolean()),
      exp: optional(fc.constant('2027-01-01T00:00:00Z')),
    })
    .map(({ cid, val, neg, exp }) => ({
      ...base,
      val,
      ...(cid === undefined ? {} : { cid }),
      ...(neg === undefined ? {} : { neg }),
      ...(exp === undefined ? {} : { exp }),
    }))

  it('agree, over every combination of fields', async () => {
    await fc.assert(
      fc.asyncProperty(labels, async (label) => {
        const signed = await signLabel(label, key)
        expect(verifyLabel(signed, key.publicKey)).toBe(true)
        expect(readLabel({ ...signed, unknown: 1 })).toEqual(signed)
        expect(verifyLabel({ ...signed, val: `${signed.val}!` }, key.publicKey)).toBe(false)
        expect(verifyLabel({ ...signed, cts: '2026-11-02T00:00:00.000Z' }, key.publicKey)).toBe(
          false,
        )
        expect(verifyLabel({ ...signed, neg: signed.neg !== true }, key.publicKey)).toBe(false)
      }),
      { numRuns: 60 },
    )
  })

  it('understand both ways to sign a label that is not taken back', () => {
    const without = { ...base, sig: key.sign(encodeCbor({ ...base })) }
    const explicit = { ...base, sig: key.sign(encodeCbor({ ...base, neg: false })) }
    for (const label of [without, explicit]) {
      expect(verifyLabel(label, key.publicKey)).toBe(true)
      expect(verifyLabel({ ...label, neg: false }, key.publicKey)).toBe(true)
      expect(verifyLabel({ ...label, neg: true }, key.publicKey)).toBe(false)
    }
  })

  it('sign exactly the fields of the schema, in canonical order', async () => {
    const signed = await signLabel({ ...base, neg: false }, key)
    expect(Object.keys(signed).toSorted()).toEqual(['cts', 'sig', 'src', 'uri', 'val', 'ver'])
    const { sig, ...fields } = signed
    expect(key.publicKey.verify(encodeCbor(fields), sig)).toBe(true)
  })

  it('refuse values that are none', async () => {
    await expect(signLabel({ ...base, val: '' }, key)).rejects.toThrow(RangeError)
    await expect(signLabel({ ...base, val: 'é'.repeat(65) }, key)).rejects.toThrow(RangeError)
    await expect(signLabel({ ...base, val: 'é'.repeat(64) }, key)).resolves.toBeDefined()
  })
})

describe('readLabel', () => {
  it.each([
    ['label', null],
    ['ver', { ...base, ver: 2 }],
    ['ver', { ...base, ver: undefined }],
    ['src', { ...base, src: 'example.com' }],
    ['uri', { ...base, uri: '' }],
    ['cid', { ...base, cid: 7 }],
    ['val', { ...base, val: 'v'.repeat(129) }],
    ['val', { ...base, val: 'é'.repeat(65) }],
    ['neg', { ...base, neg: 'true' }],
    ['cts', { ...base, cts: 'yesterday' }],
    ['exp', { ...base, exp: '2026' }],
    ['sig', { ...base, sig: 'AAAA' }],
  ])('names %s', (wrong, label) => {
    const value = label === null ? null : { sig: new Uint8Array(64), ...label }
    expect(readLabel(value)).toEqual({ wrong })
  })
})

describe('LabelState', () => {
  const at = (day: number) => `2026-11-0${String(day)}T00:00:00.000Z`
  it('ends the same in whatever order labels arrive', () => {
    const all: Label[] = [
      { ...base, cts: at(1) },
      { ...base, cts: at(2), neg: true },
      { ...base, cts: at(3) },
      { ...base, val: 'rude', cts: at(1) },
      { ...base, val: 'rude', cts: at(2), neg: true },
      { ...base, val: 'old', cts: at(1), exp: at(4) },
      { ...base, cid: 'bafyone', cts: at(1) },
    ]
    fc.assert(
      fc.property(fc.shuffledSubarray(all, { minLength: all.length }), (order) => {
        const state = new LabelState()
        for (const label of order) state.apply(label)
        const active = (day: number) =>
          [...state.active(Date.parse(at(day)))]
            .map(({ val, cid }) => `${val} ${cid ?? ''}`)
            .toSorted()
        expect(active(3)).toEqual(['old ', 'spam ', 'spam bafyone'])
        expect(active(5)).toEqual(['spam ', 'spam bafyone'])
        expect([...state.all()]).toHaveLength(4)
        expect([...state.active(0, 'at://elsewhere')]).toEqual([])
      }),
    )
  })
})

describe('subscribeLabels', () => {
  const sent = async (labels: readonly SignedLabel[][]) => {
    const log = createMemoryEventLog()
    await log.publish(
      labels.map((list) => ({ did: src, encode: (seq: number) => encodeLabels(list, seq) })),
    )
    return log
  }

  it('gives what is signed by the labeler’s label key, and says what is not', async () => {
    const label = generatePrivateKey('k256')
    const account = generatePrivateKey('p256')
    const { resolver } = labeler({ label, account })
    const good = await signLabel(base, label)
    const log = await sent([
      [good, await signLabel({ ...base, val: 'by-account-key' }, account)],
      [await signLabel({ ...base, src: 'did:plc:someoneelsesomeoneelsesom' }, label)],
      [{ ...good, val: 'changed' }],
      [await signLabel({ ...base, neg: true, cts: '2026-11-02T00:00:00.000Z' }, label)],
    ])
    await log.publish([
      {
        did: src,
        encode: (seq) => encodeMessageFrame('#labels', { seq, labels: [{ ver: 1 }, { ...good }] }),
      },
    ])
    const issues: FirehoseIssue[] = []
    const cursor = createMemoryCursorStore({ [service]: 0 })
    const seen: [number, string[]][] = []
    for await (const { seq, labels } of subscribeLabels({
      service,
      cursor,
      verify: createLabelVerifier(resolver),
      src,
      open: createLoopback({ [service]: log }).open,
      clock: createFakeClock(),
      onIssue: (issue) => issues.push(issue),
    })) {
      seen.push([seq, labels.map(({ val, neg }) => `${val} ${String(neg)}`)])
      if (seq === 5) break
    }
    expect(seen).toEqual([
      [1, ['spam undefined']],
      [4, ['spam true']],
      [5, ['spam undefined']],
    ])
    expect(issues.map((issue) => ('reason' in issue ? issue.reason : issue.kind))).toEqual([
      'bad-signature',
      'wrong-labeler',
      'bad-signature',
      'invalid-label src',
    ])
    expect(await cursor.get(service)).toBe(4)
  })

  it('looks again when a signature fails: the labeler may have a new key', async () => {
    const keys = { label: generatePrivateKey('k256') }
    const { resolver, resolutions } = labeler(keys)
    const verifier = createLabelVerifier(resolver)
    expect(await verifier.verify(await signLabel(base, keys.label))).toBe(true)
    expect(await verifier.verify(await signLabel(base, keys.label))).toBe(true)
    expect(resolutions()).toBe(1)
    const old = keys.label
    keys.label = generatePrivateKey('k256')
    expect(await verifier.verify(await signLabel(base, keys.label))).toBe(true)
    expect(resolutions()).toBe(2)
    expect(await verifier.verify(await signLabel(base, old))).toBe(false)
  })

  it('keeps messages apart from frames of other streams', () => {
    expect(() => decodeLabels(encodeMessageFrame('#commit', { seq: 1 }))).toThrow(
      expect.objectContaining({ code: 'UnknownFrame' }),
    )
    expect(() => decodeLabels(encodeMessageFrame('#labels', { seq: 0, labels: [] }))).toThrow(
      expect.objectContaining({ code: 'InvalidFrame' }),
    )
  })
})
