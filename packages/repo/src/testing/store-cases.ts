import { cidForRaw, equalCids } from '../cid.ts'
import type { EventEncoder, EventSink, RepoStore } from '../repo-store.ts'
import { MemoryEventSink } from './event-sink.ts'
import { STAGE_RULES } from './stage-rules.ts'
import {
  ALICE,
  block,
  BOB,
  change,
  check,
  checkEqual,
  checkMoved,
  event,
  headOf,
  recordOf,
  revOf,
  type StoreRule,
} from './store-samples.ts'

/** One rule every store must obey; `run` rejects when the store breaks it. */
export interface StoreCase {
  readonly name: string
  readonly run: () => Promise<void>
}

/** Opens a fresh, empty store that appends events to `events`. */
export type OpenTestStore = (events: EventSink) => RepoStore | Promise<RepoStore>

/**
 * The rules of the {@link RepoStore} port as cases for any test runner:
 *
 * `for (const { name, run } of repoStoreCases(open)) it(name, run)`
 */
export function repoStoreCases(open: OpenTestStore): readonly StoreCase[] {
  return [...RULES, ...STAGE_RULES].map(([name, run]) => ({
    name,
    run: async () => {
      const sink = new MemoryEventSink()
      const store = await open(sink)
      try {
        await run(store, sink)
      } finally {
        await store.close()
      }
    },
  }))
}

const RULES: readonly StoreRule[] = [
  [
    'knows nothing of a repo nobody created',
    async (store) => {
      check((await store.getHead(ALICE)) === undefined, 'no head')
      check((await store.getRecord(ALICE, 'a.b.c', 'x')) === undefined, 'no record')
      check((await store.snapshot(ALICE)) === undefined, 'no snapshot')
      checkEqual(await store.listCollections(ALICE), [], 'no collections')
      checkEqual(await store.listRecords(ALICE, 'a.b.c'), [], 'no records')
      checkEqual(await store.getNodes(ALICE, [block(1).cid]), [undefined], 'no nodes')
      checkEqual(await store.listHeads(), [], 'no heads')
      check((await store.deleteRepo(ALICE)) === false, 'nothing to delete')
    },
  ],
  [
    'gives back head, nodes and records of a commit',
    async (store) => {
      const record = recordOf('app.bsky.feed.post', 'a', 7)
      await store.commit(change(ALICE, 1, null, { putNodes: [block(1)], putRecords: [record] }))
      const head = await store.getHead(ALICE)
      check(head !== undefined && equalCids(head.commit, headOf(ALICE, 1).commit), 'head')
      checkEqual(head?.rev, revOf(1), 'rev')
      checkEqual([...(head?.bytes ?? [])], [...headOf(ALICE, 1).bytes], 'commit bytes')
      const nodes = await store.getNodes(ALICE, [block(2).cid, block(1).cid])
      check(nodes[0] === undefined, 'absent node is undefined, in its place')
      checkEqual([...(nodes[1]?.bytes ?? [])], [...block(1).bytes], 'node bytes')
      checkEqual(nodes[1]?.rev, revOf(1), 'node rev')
      const stored = await store.getRecord(ALICE, 'app.bsky.feed.post', 'a')
      check(stored !== undefined && equalCids(stored.cid, record.cid), 'record cid')
      checkEqual([...(stored?.bytes ?? [])], [...record.bytes], 'record bytes')
      checkEqual(stored?.rev, revOf(1), 'record rev')
    },
  ],
  [
    'refuses a commit on any head but the current, and writes nothing of it',
    async (store, sink) => {
      await checkMoved(store.commit(change(ALICE, 2, 1, { events: [event('x')] })))
      await store.commit(change(ALICE, 1, null))
      await checkMoved(store.commit(change(ALICE, 2, null, { events: [event('x')] })))
      await store.commit(change(ALICE, 2, 1))
      await checkMoved(
        store.commit(
          change(ALICE, 3, 1, {
            putNodes: [block(3)],
            putRecords: [recordOf('a.b.c', 'x', 3)],
            events: [event('x')],
          }),
        ),
      )
      checkEqual((await store.getHead(ALICE))?.rev, revOf(2), 'head stays')
      checkEqual(await store.getNodes(ALICE, [block(3).cid]), [undefined], 'no node')
      check((await store.getRecord(ALICE, 'a.b.c', 'x')) === undefined, 'no record')
      checkEqual(sink.durable, [], 'no event')
    },
  ],
  [
    'lets exactly one of many concurrent commits on one head win',
    async (store, sink) => {
      await store.commit(change(ALICE, 1, null))
      const results = await Promise.allSettled(
        Array.from({ length: 10 }, (_, i) =>
          store.commit(change(ALICE, i + 2, 1, { events: [event(String(i))] })),
        ),
      )
      checkEqual(results.filter(({ status }) => status === 'fulfilled').length, 1, 'one winner')
      checkEqual(sink.durable.length, 1, 'one event')
    },
  ],
  [
    'appends the events of a commit in order, and tells the sink when they are durable',
    async (store, sink) => {
      await store.commit(change(ALICE, 1, null, { events: [event('a'), event('b')] }))
      await store.commit(change(BOB, 1, null, { events: [event('c')] }))
      checkEqual(
        sink.durable.map(({ did, bytes }) => [did, new TextDecoder().decode(bytes)]),
        [
          [ALICE, '1:a'],
          [ALICE, '2:b'],
          [BOB, '3:c'],
        ],
        'events',
      )
    },
  ],
  [
    'writes nothing when the event sink throws',
    async (store, sink) => {
      await store.commit(change(ALICE, 1, null))
      const failing: EventEncoder = () => {
        throw new Error('disk full')
      }
      const concurrent = store.commit(change(BOB, 1, null, { events: [event('fine')] }))
      const failed = await store
        .commit(
          change(ALICE, 2, 1, {
            putNodes: [block(2)],
            putRecords: [recordOf('a.b.c', 'x', 3)],
            events: [event('lost'), failing],
          }),
        )
        .then(
          () => false,
          (error: unknown) => error instanceof Error && error.message === 'disk full',
        )
      check(failed, 'the error of the sink reaches the caller')
      await concurrent
      checkEqual((await store.getHead(ALICE))?.rev, revOf(1), 'head stays')
      checkEqual(await store.getNodes(ALICE, [block(2).cid]), [undefined], 'no node')
      check((await store.getRecord(ALICE, 'a.b.c', 'x')) === undefined, 'no record')
      check(sink.rollbacks > 0, 'the sink is told')
      checkEqual(
        sink.durable.map(({ did }) => did),
        [BOB],
        'the event of the other repo only',
      )
    },
  ],
  [
    'replaces and deletes records and nodes',
    async (store) => {
      await store.commit(
        change(ALICE, 1, null, {
          putNodes: [block(1), block(2)],
          putRecords: [recordOf('a.b.c', 'x', 1), recordOf('a.b.c', 'y', 2)],
        }),
      )
      await store.commit(
        change(ALICE, 2, 1, {
          putNodes: [block(3)],
          deleteNodes: [block(1).cid],
          putRecords: [recordOf('a.b.c', 'x', 9)],
          deleteRecords: [{ collection: 'a.b.c', rkey: 'y' }],
        }),
      )
      const nodes = await store.getNodes(ALICE, [block(1).cid, block(2).cid, block(3).cid])
      checkEqual(
        nodes.map((node) => node?.rev ?? null),
        [null, revOf(1), revOf(2)],
        'nodes keep the rev that added them',
      )
      const record = await store.getRecord(ALICE, 'a.b.c', 'x')
      check(record !== undefined && equalCids(record.cid, block(9).cid), 'replaced')
      check((await store.getRecord(ALICE, 'a.b.c', 'y')) === undefined, 'deleted')
      checkEqual(await store.countRecords(ALICE), 1, 'count')
    },
  ],
  [
    'lists records by rkey in both directions, page by page',
    async (store) => {
      const rkeys = ['3', 'A', 'Z', '_', 'a', 'b', 'c', '~']
      await store.commit(
        change(ALICE, 1, null, {
          putRecords: [
            ...rkeys.map((rkey, n) => recordOf('a.b.c', rkey, n)),
            recordOf('a.b.cd', 'other', 50),
            recordOf('a.b', 'other', 51),
          ],
        }),
      )
      for (const reverse of [false, true]) {
        const expected = reverse ? rkeys.toReversed() : rkeys
        const listed: string[] = []
        for (let cursor: string | undefined; ;) {
          const page = await store.listRecords(ALICE, 'a.b.c', {
            limit: 3,
            reverse,
            ...(cursor === undefined ? {} : { cursor }),
          })
          listed.push(...page.map(({ rkey }) => rkey))
          cursor = page.at(-1)?.rkey
          if (page.length < 3) break
        }
        checkEqual(listed, expected, `order, reverse=${String(reverse)}`)
      }
      checkEqual(await store.listCollections(ALICE), ['a.b', 'a.b.c', 'a.b.cd'], 'collections')
      checkEqual(
        (await store.listRecords(ALICE, 'a.b.c', { cursor: '~' })).length,
        0,
        'past the end',
      )
    },
  ],
  [
    'keeps the blobs of a record as long as the record refers to them',
    async (store) => {
      const [one, two] = [cidForRaw(Uint8Array.of(1)), cidForRaw(Uint8Array.of(2))]
      await store.commit(
        change(ALICE, 1, null, {
          putRecords: [recordOf('a.b.c', 'x', 1, [one, two]), recordOf('a.b.c', 'y', 2, [one])],
        }),
      )
      const both = [one.toString(), two.toString()].toSorted()
      checkEqual(await store.listBlobs(ALICE), both, 'each once')
      checkEqual(await store.listBlobs(ALICE, { limit: 1 }), both.slice(0, 1), 'limit')
      checkEqual(await store.listBlobs(ALICE, { cursor: both[0] ?? '' }), both.slice(1), 'cursor')
      checkEqual(
        await store.blobReferences(ALICE, one),
        [
          { collection: 'a.b.c', rkey: 'x' },
          { collection: 'a.b.c', rkey: 'y' },
        ],
        'references',
      )
      await store.commit(
        change(ALICE, 2, 1, {
          putRecords: [recordOf('a.b.c', 'x', 3, [two])],
          deleteRecords: [{ collection: 'a.b.c', rkey: 'y' }],
        }),
      )
      checkEqual(await store.listBlobs(ALICE), [two.toString()], 'dereferenced')
      checkEqual(await store.blobReferences(ALICE, one), [], 'no reference left')
      checkEqual(await store.listBlobs(ALICE, { since: revOf(2) }), [], 'since the last commit')
      checkEqual(
        await store.listBlobs(ALICE, { since: revOf(1) }),
        [two.toString()],
        'since the first',
      )
    },
  ],
  [
    'never gives one account what belongs to another',
    async (store) => {
      await store.commit(
        change(ALICE, 1, null, { putNodes: [block(1)], putRecords: [recordOf('a.b.c', 'x', 5)] }),
      )
      await store.commit(change(BOB, 2, null))
      checkEqual(await store.getNodes(BOB, [block(1).cid]), [undefined], 'no node of the other')
      check((await store.getRecord(BOB, 'a.b.c', 'x')) === undefined, 'no record of the other')
      checkEqual(
        (await store.listHeads()).map(({ did }) => did),
        [ALICE, BOB].toSorted(),
        'both heads, sorted',
      )
      checkEqual(
        (await store.listHeads({ limit: 1, cursor: ALICE })).map(({ did }) => did),
        [BOB],
        'pages of heads',
      )
      await store.commit(change(BOB, 3, 2, { deleteNodes: [block(1).cid] }))
      check(
        (await store.getNodes(ALICE, [block(1).cid]))[0] !== undefined,
        'deletes stay inside a repo',
      )
    },
  ],
  [
    'deletes a repo with everything in it, and lets it be created again',
    async (store, sink) => {
      const extras = { putNodes: [block(1)], putRecords: [recordOf('a.b.c', 'x', 1)] }
      await store.commit(change(ALICE, 1, null, extras))
      check(await store.deleteRepo(ALICE, { events: [event('gone')] }), 'deleted')
      check((await store.getHead(ALICE)) === undefined, 'no head')
      check((await store.getRecord(ALICE, 'a.b.c', 'x')) === undefined, 'no record')
      checkEqual(sink.durable.length, 1, 'event')
      await store.commit(change(ALICE, 2, null))
      checkEqual(await store.countRecords(ALICE), 0, 'nothing comes back')
      checkEqual(await store.getNodes(ALICE, [block(1).cid]), [undefined], 'no node comes back')
    },
  ],
  [
    'keeps a snapshot as it was, whatever is written',
    async (store) => {
      await store.commit(
        change(ALICE, 1, null, { putNodes: [block(1)], putRecords: [recordOf('a.b.c', 'x', 1)] }),
      )
      const snapshot = await store.snapshot(ALICE)
      check(snapshot !== undefined, 'a snapshot')
      await store.commit(
        change(ALICE, 2, 1, {
          deleteNodes: [block(1).cid],
          deleteRecords: [{ collection: 'a.b.c', rkey: 'x' }],
        }),
      )
      checkEqual(snapshot?.head.rev, revOf(1), 'head')
      check((await snapshot?.getNodes([block(1).cid]))?.[0] !== undefined, 'node')
      check(
        (await snapshot?.getRecords([{ collection: 'a.b.c', rkey: 'x' }]))?.[0] !== undefined,
        'record',
      )
      checkEqual(
        await snapshot?.getRecords([{ collection: 'a.b.c', rkey: 'no' }]),
        [undefined],
        'absent',
      )
      await snapshot?.close()
      checkEqual(await store.getNodes(ALICE, [block(1).cid]), [undefined], 'the store has moved on')
    },
  ],
]
