import type { Pool } from 'pg'

import { RecentMap } from '../../recent-map.ts'
import { shardBucket } from '../../shard.ts'
import { formatRecordUri, parseRecordUri } from '../../target.ts'
import type { RecordUri } from '../../target.ts'
import type { NameKind } from '../transaction.ts'
import { arrayBytes, columnsBytes } from './array-bytes.ts'

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

  rememberDid(did: string, id: number): void {
    this.#dids.set(did, id)
  }

  dids(dids: readonly string[]): Promise<number[]> {
    return this.#intern(this.#dids, dids, (missing) => this.#store(DIDS, missing, false))
  }

  /** The same for those that were looked for in vain just now. */
  newDids(dids: readonly string[]): Promise<number[]> {
    return this.#intern(this.#dids, dids, (missing) => this.#store(DIDS, missing, true))
  }

  names(kind: NameKind, names: readonly string[]): Promise<number[]> {
    const table = NAME_TABLES[kind]
    const keys = names.map((name) => `${kind} ${name}`)
    return this.#intern(this.#others, keys, async (missing) => {
      const statements = {
        find: `SELECT id, name AS key FROM ${table} WHERE name = ANY($1::text[])`,
        add: `INSERT INTO ${table} (name) SELECT unnest($1::text[]) ON CONFLICT DO NOTHING RETURNING id, name AS key`,
      }
      const names = missing.map((key) => key.slice(kind.length + 1))
      const found = await this.#store(statements, names, false)
      return new Map([...found].map(([name, id]) => [`${kind} ${name}`, id]))
    })
  }

  paths(space: number, paths: readonly string[]): Promise<number[]> {
    const prefix = `path ${space} `
    const keys = paths.map((path) => `${prefix}${path}`)
    return this.#intern(this.#others, keys, async (missing) => {
      const statements = {
        find: `SELECT id, path AS key FROM ix_path WHERE space = ${space} AND path = ANY($1::text[])`,
        add: `INSERT INTO ix_path (space, path) SELECT ${space}, unnest($1::text[]) ON CONFLICT DO NOTHING RETURNING id, path AS key`,
      }
      const paths = missing.map((key) => key.slice(prefix.length))
      const found = await this.#store(statements, paths, false)
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
          [arrayBytes('bigint', odd)],
        )
      ).rows)
        texts.set(id * 2 + 1, did)
    if (even.length > 0)
      for (const { id, did, name, rkey } of (
        await this.#pool.query<{ id: number; did: string; name: string; rkey: string }>(
          `SELECT u.id, a.did, n.name, u.rkey FROM ix_uri u JOIN ix_actor a ON a.id = u.repo JOIN ix_nsid n ON n.id = u.nsid
           WHERE u.id = ANY($1::bigint[])`,
          [arrayBytes('bigint', even)],
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
    { find, add, addColumns }: InternStatements,
    keys: readonly string[],
    areNew: boolean,
  ): Promise<Map<string, number>> {
    const ids = new Map<string, number>()
    const take = async (text: string, values: readonly Buffer[]): Promise<void> => {
      const { rows } = await this.#pool.query<{ id: number; key: string }>(text, [...values])
      for (const { id, key } of rows) ids.set(key, id)
    }
    const missing = (): string[] => keys.filter((key) => !ids.has(key)).toSorted()
    if (!areNew) await take(find, [arrayBytes('text', keys)])
    const added = missing()
    if (added.length > 0)
      await take(add, [arrayBytes('text', added), ...(addColumns?.(added) ?? [])])
    // What another process stored at the same time was not answered.
    const others = missing()
    if (others.length > 0) await take(find, [arrayBytes('text', others)])
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
      const { rows } = await this.#pool.query<StoredUri>(sql, columnsOf(wanted))
      for (const { id, repo, nsid, rkey } of rows)
        ids.set(refOf.get(`${repo} ${nsid} ${rkey}`) ?? '', id)
    }
    const missing = (): typeof keyed =>
      keyed
        .filter(({ ref }) => !ids.has(ref))
        .toSorted((left, right) => left.repo - right.repo || (left.ref < right.ref ? -1 : 1))
    await take(FIND_URIS, keyed)
    const added = missing()
    if (added.length > 0) await take(ADD_URIS, added)
    // What another process stored at the same time was not answered.
    const others = missing()
    if (others.length > 0) await take(FIND_URIS, others)
    return ids
  }
}

/** How texts of one kind are found and added; both answer `id` and `key`. */
interface InternStatements {
  readonly find: string
  readonly add: string
  /** Parameters of `add` after the texts. */
  readonly addColumns?: (keys: readonly string[]) => readonly Buffer[]
}

const DIDS: InternStatements = {
  find: 'SELECT id, did AS key FROM ix_actor WHERE did = ANY($1::text[])',
  add: 'INSERT INTO ix_actor (did, bucket) SELECT * FROM unnest($1::text[], $2::int[]) ON CONFLICT DO NOTHING RETURNING id, did AS key',
  addColumns: (dids) => [arrayBytes('int', dids.map(shardBucket))],
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
): Buffer[] {
  return columnsBytes(keys, [
    ['bigint', ({ repo }) => repo],
    ['bigint', ({ nsid }) => nsid],
    ['text', ({ rkey }) => rkey],
  ])
}
