import { cidForRaw } from '../cid.ts'
import {
  ALICE,
  block,
  BOB,
  change,
  check,
  checkEqual,
  checkMoved,
  event,
  recordOf,
  revOf,
  staged,
  type StoreRule,
} from './store-samples.ts'

/** The rules of a {@link RepoStage}. */
export const STAGE_RULES: readonly StoreRule[] = [
  [
    'replaces a whole repo by what was staged, unseen before and with the rev of the commit',
    async (store, sink) => {
      const [one, two] = [cidForRaw(Uint8Array.of(1)), cidForRaw(Uint8Array.of(2))]
      await store.commit(
        change(ALICE, 1, null, {
          putNodes: [block(1), block(2)],
          putRecords: [recordOf('a.b.c', 'x', 1, [one]), recordOf('a.b.d', 'y', 2)],
        }),
      )
      const stage = store.stage(ALICE)
      await stage.put([block(2)], [recordOf('a.b.e', 'z', 4, [two])])
      await stage.put([block(3)], [recordOf('a.b.e', 'w', 5)])
      checkEqual(await store.listCollections(ALICE), ['a.b.c', 'a.b.d'], 'unseen')
      checkEqual(await store.getNodes(ALICE, [block(3).cid]), [undefined], 'no staged node')
      checkEqual(await store.listBlobs(ALICE), [one.toString()], 'no staged blob')
      await store.commit(change(ALICE, 2, 1))
      await checkMoved(stage.commit(staged(3, 1, { events: [event('no')] })))
      await stage.commit(
        staged(3, 2, {
          putNodes: [block(4)],
          putRecords: [recordOf('a.b.f', 'last', 6)],
          events: [event('imported')],
        }),
      )
      await stage.close()
      const cids = [1, 2, 3, 4].map((n) => block(n).cid)
      checkEqual(
        (await store.getNodes(ALICE, cids)).map((node) => node?.rev ?? null),
        [null, revOf(3), revOf(3), revOf(3)],
        'nodes',
      )
      checkEqual(await store.listCollections(ALICE), ['a.b.e', 'a.b.f'], 'collections')
      checkEqual(
        (await store.listRecords(ALICE, 'a.b.e')).map(({ rkey, rev }) => [rkey, rev]),
        [
          ['w', revOf(3)],
          ['z', revOf(3)],
        ],
        'records',
      )
      checkEqual(await store.countRecords(ALICE), 3, 'count')
      checkEqual(await store.listBlobs(ALICE, { since: revOf(2) }), [two.toString()], 'blobs')
      checkEqual(await store.listBlobs(ALICE, { since: revOf(3) }), [], 'blobs have its rev')
      checkEqual(sink.durable.length, 1, 'one event')
      const snapshot = await store.snapshot(ALICE)
      checkEqual((await snapshot?.getNodes([block(3).cid]))?.[0]?.rev, revOf(3), 'snapshot node')
      checkEqual(
        (await snapshot?.getRecords([{ collection: 'a.b.e', rkey: 'z' }]))?.[0]?.rev,
        revOf(3),
        'snapshot record',
      )
      await snapshot?.close()
      await store.commit(
        change(ALICE, 4, 3, { putNodes: [block(9)], putRecords: [recordOf('a.b.e', 'z', 7)] }),
      )
      checkEqual(
        (await store.getNodes(ALICE, [block(3).cid, block(9).cid])).map((node) => node?.rev),
        [revOf(3), revOf(4)],
        'later commits have their own rev',
      )
    },
  ],
  [
    'stages what is not there yet, and forgets what is not committed',
    async (store) => {
      const dropped = store.stage(BOB)
      await dropped.put([block(1)], [recordOf('a.b.c', 'x', 1)])
      check((await store.getHead(BOB)) === undefined, 'no head')
      checkEqual(await store.listHeads(), [], 'not listed')
      await dropped.close()
      const stage = store.stage(BOB)
      await stage.commit(staged(1, null, { putNodes: [block(2)] }, BOB))
      await stage.close()
      checkEqual(
        (await store.getNodes(BOB, [block(1).cid, block(2).cid])).map((node) => node?.rev ?? null),
        [null, revOf(1)],
        'only what was committed',
      )
      checkEqual(await store.countRecords(BOB), 0, 'no record of the other stage')
    },
  ],
  [
    'ends a stage when the next one of the account begins or the repo is deleted',
    async (store) => {
      await store.commit(change(ALICE, 1, null))
      const first = store.stage(ALICE)
      await first.put([block(1)], [])
      const other = store.stage(BOB)
      await other.put([block(1)], [])
      const second = store.stage(ALICE)
      await second.put([block(2)], [])
      await checkMoved(first.put([block(3)], []))
      await checkMoved(first.commit(staged(2, 1)))
      await first.close()
      await store.deleteRepo(ALICE)
      await checkMoved(second.put([block(3)], []))
      await checkMoved(second.commit(staged(2, null)))
      await second.close()
      check((await store.getHead(ALICE)) === undefined, 'still deleted')
      await other.commit(staged(1, null, {}, BOB))
      await other.close()
      checkEqual((await store.getNodes(BOB, [block(1).cid]))[0]?.rev, revOf(1), 'others go on')
    },
  ],
  [
    'keeps blocks that wait in a stage',
    async (store) => {
      const stage = store.stage(ALICE)
      const other = store.stage(BOB)
      checkEqual(await stage.getBlocks([block(1).cid]), [undefined], 'none yet')
      await stage.putBlocks([block(1), block(2), block(1)])
      await stage.putBlocks([block(2)])
      const found = await stage.getBlocks([block(2).cid, block(3).cid, block(1).cid])
      checkEqual(
        found.map((bytes) => (bytes === undefined ? null : [...bytes])),
        [[...block(2).bytes], null, [...block(1).bytes]],
        'in the order asked',
      )
      checkEqual(await other.getBlocks([block(1).cid]), [undefined], 'not those of another account')
      await stage.close()
      await other.close()
      checkEqual(await store.getNodes(ALICE, [block(1).cid]), [undefined], 'never part of a repo')
    },
  ],
  [
    'changes nothing when the event sink throws, and commits when tried again',
    async (store, sink) => {
      await store.commit(change(ALICE, 1, null, { putRecords: [recordOf('a.b.c', 'x', 1)] }))
      const stage = store.stage(ALICE)
      await stage.put([block(2)], [recordOf('a.b.d', 'y', 2)])
      const failing = (): Uint8Array => {
        throw new Error('disk full')
      }
      const refused = await stage.commit(staged(2, 1, { events: [event('a'), failing] })).then(
        () => '',
        (error: unknown) => (error instanceof Error ? error.message : ''),
      )
      checkEqual(refused, 'disk full', 'the error of the sink reaches the caller')
      checkEqual(await store.listCollections(ALICE), ['a.b.c'], 'still what it was')
      checkEqual((await store.getHead(ALICE))?.rev, revOf(1), 'head stays')
      checkEqual(sink.durable, [], 'no event')
      await stage.commit(staged(2, 1, { events: [event('b')] }))
      await stage.close()
      checkEqual(await store.listCollections(ALICE), ['a.b.d'], 'replaced')
      checkEqual(sink.durable.length, 1, 'one event')
    },
  ],
]
