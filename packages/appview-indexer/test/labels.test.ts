import { createMemoryEventLog } from '@skywright/firehose'
import type { FirehoseIssue } from '@skywright/firehose'
import { encodeLabels, signLabel } from '@skywright/firehose/labels'
import type { Label, SignedLabel } from '@skywright/firehose/labels'
import { createLoopback } from '@skywright/firehose/testing'
import { generatePrivateKey } from '@skywright/identity/keys'
import type { PrivateKey } from '@skywright/identity/keys'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import { labelSource, openIndexer } from '../src/index.ts'
import type { Indexer, IndexIssue, IndexLabel, LabelSourceOptions } from '../src/index.ts'
import { openSqliteIndexStore } from '../src/stores/sqlite.ts'
import { createFakeNetwork } from '../src/testing/index.ts'
import { NSID, socialCollections, strongRef } from './social.ts'
import type { SocialCollections } from './social.ts'

const LABELER = 'did:plc:labelerlabelerlabelerlab'
const OTHER = 'did:plc:otherotherotherotherothe'
const SERVICE = 'https://labeler.test'
const network = createFakeNetwork()
const [alice, bob] = [network.account(), network.account()]
const post = alice.create(NSID.POST, { text: 'x' })
const like = bob.create(NSID.LIKE, { subject: strongRef(post) })

function open(
  options: { readonly issues?: IndexIssue[]; readonly now?: () => number } = {},
): Promise<Indexer<SocialCollections>> {
  return openIndexer({
    store: openSqliteIndexStore(':memory:'),
    collections: socialCollections(),
    now: options.now ?? (() => Date.UTC(2027, 0)),
    onIssue: (issue) => options.issues?.push(issue),
  })
}

function label(fields: Partial<IndexLabel> = {}): IndexLabel {
  const base = { ver: 1 as const, src: LABELER, uri: post, val: 'spam' }
  return { ...base, cts: '2026-11-01T00:00:00.000Z', sig: new Uint8Array(64), ...fields }
}

const accepted = {
  labelers: [
    { did: LABELER, redact: true },
    { did: OTHER, redact: false },
  ],
  header: '',
}

async function heard(
  index: Indexer<SocialCollections>,
  subject: Parameters<typeof index.labels>[0][number] = post,
): Promise<unknown> {
  const uri = typeof subject === 'string' ? subject : subject.uri
  const { labels = [], redacted } = (await index.labels([subject], accepted)).get(uri) ?? {}
  return [labels.map(({ val }) => val).join(), redacted]
}

describe('stored labels', () => {
  it('keeps the newest of each statement; what is taken back or over does not hold', async () => {
    let now = Date.UTC(2027, 0)
    await using index = await open({ now: () => now })
    let seq = 0
    const say = (...labels: IndexLabel[]) =>
      index.apply([{ type: 'labels', seq: ++seq, labels }], { source: `labels:${LABELER}` })
    await say(label(), label({ val: 'rude', exp: '2027-02-01T00:00:00Z' }), label({ src: OTHER }))
    expect(await heard(index)).toEqual(['rude,spam,spam', false])
    await say(label({ neg: true, cts: '2026-11-01T00:00:00.000001Z' }))
    expect(await heard(index)).toEqual(['rude,spam', false])
    // Replayed, and older than what is known.
    await say(label(), label({ cts: '2025-01-01T00:00:00Z' }))
    expect(await heard(index)).toEqual(['rude,spam', false])
    now = Date.UTC(2027, 1, 1)
    expect(await heard(index)).toEqual(['spam', false])
    await say(label({ cts: '2026-11-02T00:00:00Z' }))
    expect(await heard(index)).toEqual(['spam,spam', false])
    expect(await index.cursor(`labels:${LABELER}`)).toBe(4)
  })

  it('tells labels of one version from labels of all, and of an account', async () => {
    await using index = await open()
    const cid = 'bafyreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku'
    const labels = [
      label({ cid, val: 'old' }),
      label({ uri: alice.did, val: 'account' }),
      label({ uri: `at://${bob.did}`, val: 'written-as-uri' }),
    ]
    await index.apply([{ type: 'labels', seq: 1, labels }])
    expect(await heard(index)).toEqual(['old', false])
    expect(await heard(index, { uri: post, cid })).toEqual(['old', false])
    expect(await heard(index, { uri: post, cid: 'bafyother' })).toEqual(['', false])
    expect(await heard(index, alice.did)).toEqual(['account', false])
    expect(await heard(index, bob.did)).toEqual(['written-as-uri', false])
    expect(await heard(index, 'at://did:plc:nobody/a.b.c/d')).toEqual(['', false])
  })

  it('takes down for those who asked to redact only, rows in queries too, and wakes live queries', async () => {
    await using index = await open()
    await index.apply(network.events)
    const lists = async (who = accepted): Promise<number[]> => [
      await index.select('post').withoutRedacted(who).count(),
      await index.select('like').withoutRedacted(who).count(),
    ]
    const stop = new AbortController()
    const live = index.select('post').withoutRedacted(accepted).live({ signal: stop.signal })
    expect((await live.next()).value).toHaveLength(1)
    const say = (seq: number, ...labels: IndexLabel[]) =>
      index.apply([{ type: 'labels', seq, labels }])
    const next = live.next()
    await say(1, label({ val: '!takedown' }), label({ src: OTHER, uri: bob.did, val: '!takedown' }))
    expect((await next).value).toEqual([])
    stop.abort()
    expect(await heard(index)).toEqual(['!takedown', true])
    expect(await heard(index, bob.did)).toEqual(['!takedown', false])
    expect(await lists()).toEqual([0, 1])
    expect(await lists({ labelers: [{ did: LABELER, redact: false }], header: '' })).toEqual([1, 1])
    // An account with everything it wrote, and an edge by itself.
    await say(2, label({ val: '!takedown', neg: true, cts: '2026-12-01T00:00:00Z' }))
    await say(3, label({ uri: alice.did, val: '!suspend' }), label({ uri: like, val: '!takedown' }))
    expect(await heard(index)).toEqual(['', true])
    expect(await lists()).toEqual([0, 0])
  })

  it('answers with the labelers it follows, and refuses a header it cannot read', async () => {
    await using index = await open()
    await index.apply([{ type: 'labels', seq: 1, labels: [] }], { source: `labels:${LABELER}` })
    await index.apply([{ type: 'labels', seq: 1, labels: [] }], { source: `labels:${OTHER}` })
    const defaults = [{ did: OTHER, redact: true }]
    const header = async (text: string | null) =>
      (await index.acceptLabelers(text, defaults)).header
    expect(await header(null)).toBe(`${OTHER};redact`)
    expect(await header('')).toBe('')
    expect(await header(`${LABELER};redact, did:plc:unknown, ${LABELER}`)).toBe(`${LABELER};redact`)
    await expect(header('nonsense')).rejects.toMatchObject({ code: 'InvalidLabelers' })
    await index.apply([
      { type: 'account', seq: 2, did: LABELER, active: false, status: 'takendown' },
    ])
    expect(await header(`${LABELER}, ${OTHER}`)).toBe(OTHER)
  })

  it('passes over labels of what is neither an account nor a record, and says so', async () => {
    const issues: IndexIssue[] = []
    await using index = await open({ issues })
    const labels = [
      label({ uri: 'https://example.com/' }),
      label({ uri: 'at://alice.test/a.b.c/d' }),
      label({ val: 'a\u0000b' }),
      label({ src: 'nobody' }),
      label({ cts: 'yesterday' }),
      label({ exp: 'tomorrow' }),
      label({ cid: 'c'.repeat(300) }),
      label({ val: 'kept' }),
    ]
    await index.apply([{ type: 'labels', seq: 1, labels }])
    expect(issues.filter(({ kind }) => kind === 'label-refused')).toHaveLength(7)
    expect(await heard(index)).toEqual(['kept', false])
  })

  it('ends in one state whatever the order, the batches and the replays', async () => {
    const one = fc.record({
      src: fc.constantFrom(LABELER, OTHER),
      uri: fc.constantFrom(post, like, alice.did),
      val: fc.constantFrom('a', 'b'),
      neg: fc.boolean(),
      cts: fc.constantFrom(
        '2026-01-01T00:00:00Z',
        '2026-01-01T00:00:00.0001Z',
        '2026-01-02T00:00:00Z',
      ),
      exp: fc.option(fc.constant('2030-01-01T00:00:00Z'), { nil: undefined }),
    })
    const labelled = fc.array(one, { minLength: 5, maxLength: 40 })
    let runs = 0
    await fc.assert(
      fc.asyncProperty(labelled, fc.infiniteStream(fc.nat()), async (fields, order) => {
        runs++
        const labels = fields.map(({ exp, ...rest }) =>
          label({ ...rest, ...(exp === undefined ? {} : { exp }) }),
        )
        const hash = async (batches: readonly (readonly IndexLabel[])[]): Promise<string> => {
          await using index = await open()
          for (const [seq, part] of batches.entries())
            await index.apply([{ type: 'labels', seq, labels: part }])
          return await index.stateHash()
        }
        const shuffled = labels
          .map((item) => ({ item, key: order.next().value ?? 0 }))
          .toSorted((left, right) => left.key - right.key)
          .map(({ item }) => item)
        expect(await hash([...shuffled.map((item) => [item]), labels.slice(3)])).toBe(
          await hash([labels]),
        )
      }),
      { numRuns: 25 },
    )
    expect(runs).toBeGreaterThanOrEqual(25)
  })
})

/** A labeler with a log, whose document a resolver knows, or not. */
function labeler() {
  const log = createMemoryEventLog()
  const loopback = createLoopback({ [SERVICE]: log })
  let key = generatePrivateKey('k256')
  let away = false
  let lookups = 0
  const issues: FirehoseIssue[] = []
  const options: LabelSourceOptions = {
    labeler: LABELER,
    open: loopback.open,
    onIssue: (issue) => issues.push(issue),
    delay: () => new Promise((resolve) => setImmediate(resolve)),
    resolver: {
      resolveDid: async (did) => {
        lookups++
        if (away) throw new Error('the directory is away')
        const document = {
          id: did,
          verificationMethod: [
            {
              id: `${did}#atproto_label`,
              type: 'Multikey',
              controller: did,
              publicKeyMultibase: key.publicKey.multibase,
            },
          ],
          service: [{ id: '#atproto_labeler', type: 'AtprotoLabeler', serviceEndpoint: SERVICE }],
        }
        return { did, document, source: 'network', ageMs: 0 }
      },
    },
  }
  const send = (labels: readonly SignedLabel[]): Promise<unknown> =>
    log.publish([{ did: LABELER, encode: (seq) => encodeLabels(labels, seq) }])
  return {
    options,
    issues,
    send,
    lookups: () => lookups,
    key: () => key,
    rotate: () => {
      key = generatePrivateKey('p256')
    },
    setAway: (value: boolean) => {
      away = value
    },
    say: async (fields: Partial<Label>, signer: PrivateKey = key) => {
      const { sig: _sig, ...unsigned } = label(fields)
      await send([await signLabel(unsigned, signer)])
    },
  }
}

async function runTo(
  index: Indexer<SocialCollections>,
  options: LabelSourceOptions,
  cursor: number,
  meanwhile: () => void = () => undefined,
): Promise<void> {
  const stop = new AbortController()
  const running = index.run(labelSource(options), { signal: stop.signal })
  for (let turn = 0; (await index.cursor(`labels:${LABELER}`)) !== cursor; turn++) {
    if (turn === 50) meanwhile()
    await new Promise((resolve) => setImmediate(resolve))
  }
  stop.abort()
  await running
}

describe('a labeler as a source', () => {
  it('reads all it ever said, goes on from the stored position, and takes what its key signed only', async () => {
    const { options, issues, say, send, rotate, key } = labeler()
    await using index = await open()
    await say({ val: 'one' })
    await say({ val: 'forged' }, generatePrivateKey('k256'))
    await say({ val: 'of-another', src: OTHER })
    const before = key()
    const signed = await signLabel(label({ val: 'altered' }), before)
    await send([
      { ...signed, val: 'not-what-was-signed' },
      await signLabel(label({ val: 'two' }), before),
    ])
    await runTo(index, options, 4)
    expect(await heard(index)).toEqual(['one,two', false])
    const reasons = issues.flatMap((issue) => (issue.kind === 'rejected' ? [issue.reason] : []))
    expect(reasons.toSorted()).toEqual(['bad-signature', 'bad-signature', 'wrong-labeler'])
    // What the old key signed stays; from now on the new one counts.
    rotate()
    await say({ val: 'three' })
    await say({ val: 'old-key' }, before)
    await say({ val: 'one', neg: true, cts: '2026-12-01T00:00:00Z' })
    await runTo(index, options, 7)
    expect(await heard(index)).toEqual(['three,two', false])
  })

  it('waits for the directory: a key that cannot be looked up loses no label', async () => {
    const { options, issues, say, setAway, rotate } = labeler()
    await using index = await open()
    await say({ val: 'one' })
    await runTo(index, options, 1)
    rotate()
    await say({ val: 'two' })
    const source = { ...options, service: SERVICE }
    setAway(true)
    await runTo(index, source, 2, () => {
      setAway(false)
    })
    expect(await heard(index)).toEqual(['one,two', false])
    expect(issues.some(({ kind }) => kind === 'resync-failed')).toBe(true)
  })

  it('starts again when the labeler counts from the start, and when it cannot be found at first', async () => {
    const { options, issues, say, setAway } = labeler()
    await using index = await open()
    await index.apply([{ type: 'labels', seq: 900, labels: [label({ val: 'kept' })] }], {
      source: `labels:${LABELER}`,
    })
    await say({ val: 'new' })
    setAway(true)
    await runTo(index, options, 1, () => {
      setAway(false)
    })
    expect(await heard(index)).toEqual(['kept,new', false])
    expect(issues.some((issue) => issue.kind === 'info' && issue.name === 'FutureCursor')).toBe(
      true,
    )
    expect(issues.some(({ kind }) => kind === 'reconnect')).toBe(true)
  })
})
