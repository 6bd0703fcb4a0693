import type { Pool } from 'pg'

import { RecentMap } from '../../recent-map.ts'
import { shardBucket } from '../../shard.ts'
import { formatRecordUri, parseRecordUri } from '../../target.ts'
import type { RecordUri } from '../../target.ts'
import type { NameKind } from '../transaction.ts'
import { boundValues } from './array-text.ts'

const NAME_TABLES: Readonly<Record<NameKind, string>> = {
  nsid: 'ix_nsid',
  space: 'ix_space',
  reason: 'ix_reason',
  counter: 'ix_counter_name',
}

/** Most texts whose integer is remembered, per kind. */
const MAX_REMEMBERED = 100_000

/**
 * Texts to integers and back. New texts are stored at once, outside the batch's transaction: several processes name the
 * same things, and none may wait for another's batch. An id that no batch came to use is harmless.
 */
export class Interner {
  readonly #pool: Pool
  readonly #dids = new RecentMap<string, number>(MAX_REMEMBERED)
  readonly #uris = new RecentMap<string, number>(MAX_REMEMBERED)
  readonly #others = new RecentMap<string, number>(MAX_REMEMBERED)

  constructor(pool: Pool) {
    this.#pool = pool
  }

  /** Forgets what is remembered: after a failure the database may have lost what was stored last. */
  forget(): void {
    this.#dids.clear()
    this.#uris.clear()
    this.#others.clear()
  }

  dids(dids: readonly string[]): Promise<number[]> {
    return this.#intern(this.#dids, dids, (missing) =>
      this.#store(
        `SELECT id, did AS key FROM ix_actor WHERE did = ANY($1::text[])`,
        `INSERT INTO ix_actor (did, bucket) SELECT * FROM unnest($1::text[], $2::int[]) ON CONFLICT DO NOTHING RETURNING id, did AS key`,
        missing,
        (dids) => [dids, dids.map(shardBucket)],
      ),
    )
  }

  names(kind: NameKind, names: readonly string[]): Promise<number[]> {
    const table = NAME_TABLES[kind]
    const keys = names.map((name) => `${kind} ${name}`)
    return this.#intern(this.#others, keys, async (missing) => {
      const found = await this.#store(
        `SELECT id, name AS key FROM ${table} WHERE name = ANY($1::text[])`,
        `INSERT INTO ${table} (name) SELECT unnest($1::text[]) ON CONFLICT DO NOTHING RETURNING id, name AS key`,
        missing.map((key) => key.slice(kind.length + 1)),
        (names) => [names],
      )
      return new Map([...found].map(([name, id]) => [`${kind} ${name}`, id]))
    })
  }

  paths(space: number, paths: readonly string[]): Promise<number[]> {
    const prefix = `path ${space} `
    const keys = paths.map((path) => `${prefix}${path}`)
    return this.#intern(this.#others, keys, async (missing) => {
      const found = await this.#store(
        `SELECT id, path AS key FROM ix_path WHERE space = ${space} AND path = ANY($1::text[])`,
        `INSERT INTO ix_path (space, path) SELECT ${space}, unnest($1::text[]) ON CONFLICT DO NOTHING RETURNING id, path AS key`,
        missing.map((key) => key.slice(prefix.length)),
        (paths) => [paths],
      )
      return new Map([...found].map(([path, id]) => [`${prefix}${path}`, id]))
    })
  }

  /** Target ids of DIDs (odd) and at-uris (even). */
  async targets(refs: readonly string[]): Promise<number[]> {
    const uris = new Map<string, number>()
    const parsed = new Map<string, RecordUri>()
    const dids: string[] = []
    for (const ref of refs) {
      if (!ref.startsWith('at://')) {
        dids.push(ref)
        continue
      }
      const known = this.#uris.get(ref)
      if (known !== undefined) {
        uris.set(ref, known)
        continue
      }
      const uri = parseRecordUri(ref)
      if (uri === undefined) throw new TypeError(`not a record uri: ${ref}`)
      parsed.set(ref, uri)
      dids.push(uri.did)
    }
    const repos = await this.#byText(dids, (texts) => this.dids(texts))
    if (parsed.size > 0) {
      const nsids = await this.#byText(
        [...parsed.values()].map(({ collection }) => collection),
        (texts) => this.names('nsid', texts),
      )
      for (const [ref, id] of await this.#storeUris(parsed, repos, nsids)) {
        uris.set(ref, id)
        this.#uris.set(ref, id)
      }
    }
    return refs.map((ref) =>
      ref.startsWith('at://') ? (uris.get(ref) ?? 0) * 2 : (repos.get(ref) ?? 0) * 2 + 1,
    )
  }

  /** Text of targets; empty where there is none. */
  async describe(targets: readonly number[]): Promise<string[]> {
    const odd = targets.filter((target) => target % 2 === 1).map((target) => (target - 1) / 2)
    const even = targets.filter((target) => target % 2 === 0).map((target) => target / 2)
    const texts = new Map<number, string>()
    if (odd.length > 0)
      for (const { id, did } of (
        await this.#pool.query<{ id: number; did: string }>(
          'SELECT id, did FROM ix_actor WHERE id = ANY($1::bigint[])',
          [odd],
        )
      ).rows)
        texts.set(id * 2 + 1, did)
    if (even.length > 0)
      for (const { id, did, name, rkey } of (
        await this.#pool.query<{ id: number; did: string; name: string; rkey: string }>(
          `SELECT u.id, a.did, n.name, u.rkey FROM ix_uri u JOIN ix_actor a ON a.id = u.repo JOIN ix_nsid n ON n.id = u.nsid
           WHERE u.id = ANY($1::bigint[])`,
          [even],
        )
      ).rows)
        texts.set(id * 2, formatRecordUri(did, name, rkey))
    return targets.map((target) => texts.get(target) ?? '')
  }

  async #byText(
    texts: readonly string[],
    ids: (texts: readonly string[]) => Promise<readonly number[]>,
  ): Promise<Map<string, number>> {
    const unique = [...new Set(texts)]
    const found = await ids(unique)
    return new Map(unique.map((text, index) => [text, found[index] ?? 0]))
  }

  async #intern(
    known: RecentMap<string, number>,
    keys: readonly string[],
    load: (missing: readonly string[]) => Promise<ReadonlyMap<string, number>>,
  ): Promise<number[]> {
    const ids = new Map<string, number>()
    const missing = new Set<string>()
    for (const key of keys) {
      const id = known.get(key)
      if (id === undefined) missing.add(key)
      else ids.set(key, id)
    }
    if (missing.size > 0)
      for (const [key, id] of await load([...missing])) {
        ids.set(key, id)
        known.set(key, id)
      }
    return keys.map((key) => {
      const id = ids.get(key)
      if (id === undefined) throw new TypeError(`could not be interned: ${key}`)
      return id
    })
  }

  /** Finds, stores what is missing in one order everywhere (no two processes wait for each other), finds again. */
  async #store(
    find: string,
    add: string,
    keys: readonly string[],
    values: (keys: readonly string[]) => readonly unknown[],
  ): Promise<Map<string, number>> {
    const ids = new Map<string, number>()
    const take = async (sql: string, parameters: readonly unknown[]): Promise<void> => {
      const { rows } = await this.#pool.query<{ id: number; key: string }>(
        sql,
        boundValues(parameters),
      )
      for (const { id, key } of rows) ids.set(key, id)
    }
    const missing = (): string[] => keys.filter((key) => !ids.has(key)).toSorted()
    await take(find, [keys])
    if (missing().length > 0) await take(add, values(missing()))
    // What another process stored at the same time was not answered.
    if (missing().length > 0) await take(find, [missing()])
    return ids
  }

  async #storeUris(
    parsed: ReadonlyMap<string, RecordUri>,
    repos: ReadonlyMap<string, number>,
    nsids: ReadonlyMap<string, number>,
  ): Promise<Map<string, number>> {
    const keyed = [...parsed].map(([ref, { did, collection, rkey }]) => ({
      ref,
      repo: repos.get(did) ?? 0,
      nsid: nsids.get(collection) ?? 0,
      rkey,
    }))
    const refOf = new Map(
      keyed.map(({ ref, repo, nsid, rkey }) => [`${repo} ${nsid} ${rkey}`, ref]),
    )
    const ids = new Map<string, number>()
    const take = async (sql: string, wanted: typeof keyed): Promise<void> => {
      const { rows } = await this.#pool.query<StoredUri>(sql, boundValues(columnsOf(wanted)))
      for (const { id, repo, nsid, rkey } of rows)
        ids.set(refOf.get(`${repo} ${nsid} ${rkey}`) ?? '', id)
    }
    const missing = (): typeof keyed =>
      keyed
        .filter(({ ref }) => !ids.has(ref))
        .toSorted((left, right) => left.repo - right.repo || (left.ref < right.ref ? -1 : 1))
    await take(FIND_URIS, keyed)
    if (missing().length > 0) await take(ADD_URIS, missing())
    // What another process stored at the same time was not answered.
    if (missing().length > 0) await take(FIND_URIS, missing())
    return ids
  }
}

interface StoredUri {
  readonly id: number
  readonly repo: number
  readonly nsid: number
  readonly rkey: string
}

const FIND_URIS = `SELECT u.id, u.repo, u.nsid, u.rkey FROM unnest($1::bigint[], $2::bigint[], $3::text[]) k (repo, nsid, rkey)
  JOIN ix_uri u ON u.repo = k.repo AND u.nsid = k.nsid AND u.rkey = k.rkey`
const ADD_URIS = `INSERT INTO ix_uri (repo, nsid, rkey) SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[])
  ON CONFLICT DO NOTHING RETURNING id, repo, nsid, rkey`

function columnsOf(
  keys: readonly { readonly repo: number; readonly nsid: number; readonly rkey: string }[],
): [number[], number[], string[]] {
  return [keys.map(({ repo }) => repo), keys.map(({ nsid }) => nsid), keys.map(({ rkey }) => rkey)]
}
