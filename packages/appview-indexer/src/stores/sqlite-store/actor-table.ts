import type { DatabaseSync, StatementSync } from 'node:sqlite'

import { RecentMap } from '../../recent-map.ts'
import { decodeActor, differsInRevOnly, newActor } from '../stored-row.ts'
import type { ActorState } from '../transaction.ts'
import { BOUND_LIMIT } from '../bound-limit.ts'

/** Most accounts whose stored state is remembered: the busy ones of the last minutes. */
const MAX_REMEMBERED = 50_000

/** The accounts, with memory of the recent ones. Forget everything when a transaction rolls back. */
export class ActorTable {
  /** As stored, by DID; never handed out, since the engine changes what it gets. */
  readonly #recent = new RecentMap<string, ActorState>(MAX_REMEMBERED)
  readonly #statements: Readonly<Record<keyof typeof STATEMENTS, StatementSync>>

  constructor(database: DatabaseSync) {
    const entries = Object.entries(STATEMENTS).map(([name, sql]) => [name, database.prepare(sql)])
    // Object.entries forgets the literal keys; the record has exactly those of STATEMENTS.
    this.#statements = Object.fromEntries(entries) as Record<keyof typeof STATEMENTS, StatementSync>
  }

  forget(): void {
    this.#recent.clear()
  }

  find(did: string): ActorState | undefined {
    let stored = this.#recent.get(did)
    if (stored === undefined) {
      const row = this.#statements.byDid.get(did)
      if (row === undefined) return undefined
      this.#recent.set(did, (stored = decodeActor(row)))
    }
    return { ...stored }
  }

  add(did: string): ActorState {
    const actor = newActor(Number(this.#statements.add.run(did).lastInsertRowid), did)
    this.#recent.set(did, actor)
    return { ...actor }
  }

  byId(id: number): ActorState | undefined {
    const row = this.#statements.byId.get(id)
    return row === undefined ? undefined : decodeActor(row)
  }

  /** Stores everything but the handle. */
  put(actor: ActorState): void {
    const stored = this.#recent.get(actor.did)
    if (stored !== undefined && differsInRevOnly(stored, actor))
      this.#statements.putRev.run(actor.rev ?? null, actor.data ?? null, actor.id)
    else
      this.#statements.put.run(
        actor.rev ?? null,
        actor.data ?? null,
        actor.sync,
        Number(actor.active),
        actor.status ?? null,
        actor.handleDue,
        actor.sweep,
        actor.sweepAt,
        actor.deadDropped,
        actor.parked,
        actor.attempts,
        actor.dueAt,
        actor.id,
      )
    // A handle set since the engine read the account is not in its copy.
    if (stored !== undefined) this.#recent.set(actor.did, { ...actor, handle: stored.handle })
  }

  setHandle(actor: ActorState, handle: string | undefined): void {
    if (handle !== undefined)
      for (const { did } of this.#statements.clearHandle.all(handle, actor.id))
        this.#recent.delete(String(did))
    this.#statements.setHandle.run(handle ?? null, actor.id)
    this.#recent.delete(actor.did)
  }

  due(what: 'fetch' | 'sweep' | 'handle' | 'dropped', now: number, limit: number): ActorState[] {
    const rows =
      what === 'fetch'
        ? this.#statements.dueFetch.all(now, limit)
        : what === 'sweep'
          ? this.#statements.dueSweep.all(limit)
          : what === 'handle'
            ? this.#statements.dueHandle.all(now, limit)
            : this.#statements.dropped.all(limit)
    return rows.map(decodeActor)
  }

  requeueFetching(from: number, to: number): void {
    this.#statements.requeue.run(to, from)
    this.#recent.clear()
  }
}

const STATEMENTS = {
  byDid: 'SELECT * FROM ix_actor WHERE did = ?',
  byId: 'SELECT * FROM ix_actor WHERE id = ?',
  add: 'INSERT INTO ix_actor (did) VALUES (?)',
  clearHandle: 'UPDATE ix_actor SET handle = NULL WHERE handle = ? AND id <> ? RETURNING did',
  setHandle: 'UPDATE ix_actor SET handle = ? WHERE id = ?',
  putRev: 'UPDATE ix_actor SET rev = ?, data = ? WHERE id = ?',
  put: 'UPDATE ix_actor SET rev = ?, data = ?, sync = ?, active = ?, status = ?, handleDue = ?, sweep = ?, sweepAt = ?, deadDropped = ?, parked = ?, attempts = ?, dueAt = ? WHERE id = ?',
  dueFetch: `SELECT * FROM ix_actor WHERE sync IN (1, 2) AND dueAt <= ? ORDER BY dueAt ${BOUND_LIMIT}`,
  dueSweep: `SELECT * FROM ix_actor WHERE sweep <> 0 ORDER BY id ${BOUND_LIMIT}`,
  dueHandle: `SELECT * FROM ix_actor WHERE handleDue <> 0 AND handleDue <= ? ORDER BY handleDue ${BOUND_LIMIT}`,
  dropped: `SELECT * FROM ix_actor WHERE deadDropped <> 0 AND sync NOT IN (1, 2) ORDER BY id ${BOUND_LIMIT}`,
  requeue: 'UPDATE ix_actor SET sync = ?, dueAt = 0 WHERE sync = ?',
} as const
