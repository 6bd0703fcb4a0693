import type { Pool } from 'pg'

import { RecentMap } from '../../recent-map.ts'
import { shardBucket } from '../../shard.ts'
import { formatRecordUri, parseRecordUri } from '../../target.ts'
import type { RecordUri } from '../../target.ts'
import type { NameKind } from '../transaction.ts'
import { arrayBytes, columnsBytes } from './array-bytes.ts'
import type { ElementType } from './array-bytes.ts'

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

  readonly #prepared = new Map<string, string>()

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
    return this.#intern(this.#dids, dids, (missing) =>
      this.#store(
        DIDS,
        missing.map((did) => ({ did, bucket: shardBucket(did) })),
      ),
    )
  }

  names(kind: NameKind, names: readonly string[]): Promise<number[]> {
    const keys = names.map((name) => `${kind} ${name}`)
    return this.#intern(this.#others, keys, async (missing) => {
      const wanted = missing.map((key) => ({ name: key.slice(kind.length + 1) }))
      const found = await this.#store(NAMES[kind], wanted)
      return new Map([...found].map(([name, id]) => [`${kind} ${name}`, id]))
    })
  }

  paths(space: number, paths: readonly string[]): Promise<number[]> {
    const prefix = `path ${space} `
    const keys = paths.map((path) => `${prefix}${path}`)
    return this.#intern(this.#others, keys, async (missing) => {
      const wanted = missing.map((key) => ({ space, path: key.slice(prefix.length) }))
      const found = await this.#store(PATHS, wanted)
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
    const ids = await this.#store(URIS, keyed)
    return new Map(keyed.map((uri) => [uri.ref, ids.get(URIS.keyOf(uri)) ?? 0]))
  }

  /** Ids of what is stored or was not yet, by key. */
  async #store<T>(kind: InternedKind<T>, wanted: readonly T[]): Promise<Map<string, number>> {
    const { text, columns, keyOf } = kind
    let name = this.#prepared.get(text)
    if (name === undefined) this.#prepared.set(text, (name = `ix${this.#prepared.size}`))
    const ids = new Map<string, number>()
    let missing = wanted
    for (let attempt = 0; attempt < ATTEMPTS && missing.length > 0; attempt++) {
      const values = columnsBytes(missing, columns)
      const { rows } = await this.#pool.query({ name, text, values })
      // `storing` answers the key columns and the id.
      for (const row of rows as (T & { readonly id: number })[]) ids.set(keyOf(row), row.id)
      missing = missing.filter((item) => !ids.has(keyOf(item)))
    }
    return ids
  }
}

/** Once to find or store, once more for what another process was just storing. */
const ATTEMPTS = 2

/** How texts of one kind are stored. */
interface InternedKind<T> {
  readonly text: string
  readonly columns: readonly (readonly [ElementType, (item: T) => unknown])[]
  readonly keyOf: (item: T) => string
}

const DIDS: InternedKind<{ readonly did: string; readonly bucket: number }> = {
  text: storing('ix_actor', { did: 'text' }, { bucket: 'int' }),
  columns: [
    ['text', ({ did }) => did],
    ['int', ({ bucket }) => bucket],
  ],
  keyOf: ({ did }) => did,
}

const PATHS: InternedKind<{ readonly space: number; readonly path: string }> = {
  text: storing('ix_path', { space: 'bigint', path: 'text' }),
  columns: [
    ['bigint', ({ space }) => space],
    ['text', ({ path }) => path],
  ],
  keyOf: ({ path }) => path,
}

const URIS: InternedKind<{ readonly repo: number; readonly nsid: number; readonly rkey: string }> =
  {
    text: storing('ix_uri', { repo: 'bigint', nsid: 'bigint', rkey: 'text' }),
    columns: [
      ['bigint', ({ repo }) => repo],
      ['bigint', ({ nsid }) => nsid],
      ['text', ({ rkey }) => rkey],
    ],
    keyOf: ({ repo, nsid, rkey }) => `${repo} ${nsid} ${rkey}`,
  }

const NAMES: Readonly<Record<NameKind, InternedKind<{ readonly name: string }>>> = {
  nsid: nameKind('ix_nsid'),
  space: nameKind('ix_space'),
  reason: nameKind('ix_reason'),
  counter: nameKind('ix_counter_name'),
}

function nameKind(table: string): InternedKind<{ readonly name: string }> {
  return {
    text: storing(table, { name: 'text' }),
    columns: [['text', ({ name }) => name]],
    keyOf: ({ name }) => name,
  }
}

/** SQL that finds what is there and adds what is not, in one order everywhere: no two processes wait for each other. */
function storing(
  table: string,
  key: Readonly<Record<string, ElementType>>,
  others: Readonly<Record<string, ElementType>> = {},
): string {
  const types = Object.entries({ ...key, ...others })
  const all = types.map(([name]) => name).join(', ')
  const keys = Object.keys(key)
  const same = keys.map((name) => `t.${name} = k.${name}`).join(' AND ')
  return `WITH k (${all}) AS (SELECT * FROM unnest(${types.map(([, type], at) => `$${at + 1}::${type}[]`).join(', ')})),
    found AS (SELECT t.id, ${keys.map((name) => `t.${name}`).join(', ')} FROM k JOIN ${table} t ON ${same}),
    added AS (
      INSERT INTO ${table} (${all}) SELECT ${all} FROM k
      WHERE NOT EXISTS (SELECT 1 FROM found t WHERE ${same}) ORDER BY ${keys.join(', ')}
      ON CONFLICT DO NOTHING RETURNING id, ${keys.join(', ')}
    )
    SELECT * FROM found UNION ALL SELECT * FROM added`
}
