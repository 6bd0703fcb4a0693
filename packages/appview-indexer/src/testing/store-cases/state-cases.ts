import assert from 'node:assert/strict'

import { ask } from '../../engine/steps.ts'
import { compileSchema } from '../../schema.ts'
import { declare, NOTE, openOn, play, STATE_HASH } from './history.ts'
import type { StoreCase } from './store-case.ts'

/** What a store ends in, whatever happens on the way. */
export const stateCases: readonly StoreCase[] = [
  [
    'keeps the same state as every other store',
    async (database) => {
      const network = play()
      await using index = await openOn(database, network)
      await index.run(network.source())
      await index.settle()
      assert.equal(await index.stateHash(), STATE_HASH)
      assert.deepEqual(await index.audit(), [])
      const own = await index.sql<{ n: number }>('SELECT sum(n) AS n FROM title_length')
      assert.equal(Number(own[0]?.n), await index.select('note').count())
      for (const name of ['note', 'follow'] as const) await index.rebuild(name)
      assert.equal(await index.stateHash(), STATE_HASH)
      assert.deepEqual(await index.audit(), [])
    },
  ],
  [
    'ends in the same state whatever the batches, the replays and the order of repos',
    async (database) => {
      const network = play()
      await using index = await openOn(database, network)
      const backwards = network.accounts
        .toReversed()
        .flatMap(({ did: author }) => network.events.filter((event) => event.did === author))
      for (let at = 0; at < backwards.length; at += 3) {
        await index.apply(backwards.slice(at, at + 3))
        await index.apply(backwards.slice(Math.max(0, at - 5), at + 2))
      }
      assert.equal(await index.stateHash(), STATE_HASH)
      assert.deepEqual(await index.audit(), [])
    },
  ],
  [
    'ends in the same state after a backfill beside the stream, with processes in between',
    async (database) => {
      const network = play()
      {
        await using index = await openOn(database, network)
        await Promise.all([
          index.apply(network.events.slice(0, 20)),
          index.backfill({ repos: network.accounts.slice(0, 2).map((account) => account.did) }),
        ])
      }
      await using index = await openOn(database, network)
      await Promise.all([
        index.run(network.source()),
        index.backfill({ repos: network.accounts.map((account) => account.did) }),
      ])
      assert.equal(await index.stateHash(), STATE_HASH)
      assert.deepEqual(await index.audit(), [])
    },
  ],
  [
    'keeps nothing of a transaction that failed, and works on',
    async (database) => {
      const network = play()
      const store = database.open()
      const schema = compileSchema(declare())
      await store.prepare(schema, { canFetch: false, shard: { index: 0, count: 1 } })
      await assert.rejects(
        store.transact(function* (tx) {
          const [actor] = yield* ask(tx.actors(['did:plc:x'], true))
          yield* ask(tx.targets([`at://did:plc:x/${NOTE}/a`]))
          yield* ask(tx.setCursor('relay', 7, 0))
          if (actor !== undefined) yield* ask(tx.putActors([{ ...actor, rev: '3mzzzzzzzzzzz' }]))
          throw new RangeError('on purpose')
        }),
        RangeError,
      )
      assert.deepEqual(await store.query('SELECT * FROM ix_source', []), [])
      assert.deepEqual(await store.query('SELECT * FROM ix_actor WHERE rev IS NOT NULL', []), [])
      await store[Symbol.asyncDispose]()
      await using index = await openOn(database, network)
      await index.run(network.source())
      assert.equal(await index.stateHash(), STATE_HASH)
    },
  ],
  [
    'stores the cursor with the batch and gives it back',
    async (database) => {
      const network = play()
      {
        await using index = await openOn(database, network)
        await index.apply(network.events.slice(0, 5), { source: 'relay' })
        assert.equal(await index.cursor('other'), undefined)
      }
      await using index = await openOn(database, network)
      assert.equal(await index.cursor('relay'), 5)
    },
  ],
]
