import { RecentMap } from '../../recent-map.ts'
import { isOfShard } from '../../shard.ts'
import type { Shard } from '../../shard.ts'
import { decodeActor, differsInRevOnly, newActor } from '../stored-row.ts'
import type { ActorState } from '../transaction.ts'
import { arrayBytes, columnsBytes } from './array-bytes.ts'
import type { Interner } from './interner.ts'
import type { Run, Send } from './run.ts'

/** Most accounts whose stored state is remembered: the busy ones of the last minutes. */
const MAX_REMEMBERED = 50_000

/**
 * The accounts, with memory of the recent ones. Nobody else writes the accounts of a shard while its connection lives,
 * but for handles, which others may take away. Forget everything when a transaction rolls back.
 */
export class ActorTable {
  /** As stored, by DID; never handed out, since the engine changes what it gets. */
  readonly #recent = new RecentMap<string, ActorState>(MAX_REMEMBERED)
  readonly #names: Interner
  readonly #shard: Shard

  constructor(names: Interner, shard: Shard) {
    this.#names = names
    this.#shard = shard
  }

  forget(): void {
    this.#recent.clear()
  }

  async find(
    run: Run,
    dids: readonly string[],
    create: boolean,
  ): Promise<(ActorState | undefined)[]> {
    const found = new Map<string, ActorState>()
    const missing: string[] = []
    for (const did of new Set(dids)) {
      const stored = this.#recent.get(did)
      if (stored === undefined) missing.push(did)
      else found.set(did, stored)
    }
    if (missing.length > 0)
      for (const actor of await readActors(run, missing)) {
        found.set(actor.did, actor)
        this.#remember(actor)
      }
    const unknown = create ? missing.filter((did) => !found.has(did)) : []
    if (unknown.length > 0) {
      const ids = await this.#names.dids(unknown)
      unknown.forEach((did, at) => {
        const actor = newActor(ids[at] ?? 0, did)
        found.set(did, actor)
        this.#remember(actor)
      })
    }
    return dids.map((did) => {
      const actor = found.get(did)
      return actor === undefined ? undefined : { ...actor }
    })
  }

  /** Stores everything but the handle. */
  put(send: Send, actors: readonly ActorState[]): void {
    const sorted = actors.toSorted((left, right) => left.id - right.id)
    const revs: ActorState[] = []
    const others: ActorState[] = []
    for (const actor of sorted) {
      const stored = this.#recent.get(actor.did)
      const revOnly =
        stored !== undefined && differsInRevOnly({ ...stored, sync: actor.sync }, actor)
      ;(revOnly ? revs : others).push(actor)
      // A handle set since the engine read the account is not in its copy.
      if (stored !== undefined) this.#recent.set(actor.did, { ...actor, handle: stored.handle })
    }
    if (revs.length > 0)
      send(
        `UPDATE ix_actor a SET rev = k.rev, data = k.data, sync = k.sync
         FROM unnest($1::bigint[], $2::text[], $3::bytea[], $4::int[]) k (id, rev, data, sync) WHERE a.id = k.id`,
        columnsBytes(revs, [
          ['bigint', ({ id }) => id],
          ['text', ({ rev }) => rev],
          ['bytea', ({ data }) => data],
          ['int', ({ sync }) => sync],
        ]),
      )
    if (others.length > 0) send(PUT_ALL, actorColumns(others))
  }

  /** A handle given or taken away here; what is remembered of its owner is out of date. */
  forgetOne(did: string): void {
    this.#recent.delete(did)
  }

  #remember(actor: ActorState): void {
    this.#names.rememberDid(actor.did, actor.id)
    if (isOfShard(actor.did, this.#shard)) this.#recent.set(actor.did, actor)
  }
}

async function readActors(run: Run, dids: readonly string[]): Promise<ActorState[]> {
  const rows = await run('SELECT * FROM ix_actor WHERE did = ANY($1::text[])', [
    arrayBytes('text', dids),
  ])
  return rows.map(decodeActor)
}

const PUT_ALL = `UPDATE ix_actor a SET rev = k.rev, data = k.data, sync = k.sync, active = k.active, status = k.status,
    "handleDue" = k.due, sweep = k.sweep, "sweepAt" = k.at, "deadDropped" = k.dropped, parked = k.parked,
    attempts = k.attempts, "dueAt" = k.next
  FROM unnest($1::bigint[], $2::text[], $3::bytea[], $4::int[], $5::int[], $6::text[], $7::bigint[], $8::int[],
    $9::text[], $10::int[], $11::int[], $12::int[], $13::bigint[])
    k (id, rev, data, sync, active, status, due, sweep, at, dropped, parked, attempts, next)
  WHERE a.id = k.id`

function actorColumns(actors: readonly ActorState[]): Buffer[] {
  return columnsBytes(actors, [
    ['bigint', ({ id }) => id],
    ['text', ({ rev }) => rev],
    ['bytea', ({ data }) => data],
    ['int', ({ sync }) => sync],
    ['int', ({ active }) => Number(active)],
    ['text', ({ status }) => status],
    ['bigint', ({ handleDue }) => handleDue],
    ['int', ({ sweep }) => sweep],
    ['text', ({ sweepAt }) => sweepAt],
    ['int', ({ deadDropped }) => deadDropped],
    ['int', ({ parked }) => parked],
    ['int', ({ attempts }) => attempts],
    ['bigint', ({ dueAt }) => dueAt],
  ])
}
