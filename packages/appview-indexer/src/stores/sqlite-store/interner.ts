import type { DatabaseSync, StatementSync } from 'node:sqlite'

import type { NameKind } from '../transaction.ts'
import { formatRecordUri, parseRecordUri } from '../../target.ts'
import { RecentMap } from '../../recent-map.ts'

const NAME_TABLES: Readonly<Record<NameKind, string>> = {
  nsid: 'ix_nsid',
  space: 'ix_space',
  reason: 'ix_reason',
  counter: 'ix_counter_name',
}

/** Most texts whose integer is remembered, per kind. */
const MAX_REMEMBERED = 100_000

/** Texts to integers and back, with memory of the recent ones. Forget everything when a transaction rolls back. */
export class Interner {
  readonly #dids = new RecentMap<string, number>(MAX_REMEMBERED)
  readonly #uris = new RecentMap<string, number>(MAX_REMEMBERED)
  readonly #paths = new RecentMap<string, number>(MAX_REMEMBERED)
  readonly #names = new RecentMap<string, number>(MAX_REMEMBERED)
  readonly #findDid: StatementSync
  readonly #addDid: StatementSync
  readonly #findUri: StatementSync
  readonly #addUri: StatementSync
  readonly #findPath: StatementSync
  readonly #addPath: StatementSync
  readonly #describeDid: StatementSync
  readonly #describeUri: StatementSync
  readonly #findName: Readonly<Record<NameKind, StatementSync>>
  readonly #addName: Readonly<Record<NameKind, StatementSync>>

  constructor(database: DatabaseSync) {
    this.#findDid = database.prepare('SELECT id FROM ix_actor WHERE did = ?')
    this.#addDid = database.prepare('INSERT INTO ix_actor (did) VALUES (?)')
    this.#findUri = database.prepare(
      'SELECT id FROM ix_uri WHERE repo = ? AND nsid = ? AND rkey = ?',
    )
    this.#addUri = database.prepare('INSERT INTO ix_uri (repo, nsid, rkey) VALUES (?, ?, ?)')
    this.#findPath = database.prepare('SELECT id FROM ix_path WHERE space = ? AND path = ?')
    this.#addPath = database.prepare('INSERT INTO ix_path (space, path) VALUES (?, ?)')
    this.#describeDid = database.prepare('SELECT did FROM ix_actor WHERE id = ?')
    this.#describeUri = database.prepare(
      'SELECT a.did, n.name, u.rkey FROM ix_uri u JOIN ix_actor a ON a.id = u.repo JOIN ix_nsid n ON n.id = u.nsid WHERE u.id = ?',
    )
    const find = (kind: NameKind): StatementSync =>
      database.prepare(`SELECT id FROM ${NAME_TABLES[kind]} WHERE name = ?`)
    const add = (kind: NameKind): StatementSync =>
      database.prepare(`INSERT INTO ${NAME_TABLES[kind]} (name) VALUES (?)`)
    this.#findName = {
      nsid: find('nsid'),
      space: find('space'),
      reason: find('reason'),
      counter: find('counter'),
    }
    this.#addName = {
      nsid: add('nsid'),
      space: add('space'),
      reason: add('reason'),
      counter: add('counter'),
    }
  }

  forget(): void {
    this.#dids.clear()
    this.#uris.clear()
    this.#paths.clear()
    this.#names.clear()
  }

  rememberDid(did: string, id: number): void {
    this.#dids.set(did, id)
  }

  did(did: string): number {
    const known = this.#dids.get(did)
    if (known !== undefined) return known
    const id = idOf(this.#findDid.get(did)) ?? Number(this.#addDid.run(did).lastInsertRowid)
    this.#dids.set(did, id)
    return id
  }

  /** The target id of a DID (odd) or of a record's at-uri (even). */
  target(ref: string): number {
    if (!ref.startsWith('at://')) return this.did(ref) * 2 + 1
    const known = this.#uris.get(ref)
    if (known !== undefined) return known
    const uri = parseRecordUri(ref)
    if (uri === undefined) throw new TypeError(`not a record uri: ${ref}`)
    const repo = this.did(uri.did)
    const nsid = this.name('nsid', uri.collection)
    const id =
      idOf(this.#findUri.get(repo, nsid, uri.rkey)) ??
      Number(this.#addUri.run(repo, nsid, uri.rkey).lastInsertRowid)
    this.#uris.set(ref, id * 2)
    return id * 2
  }

  describe(target: number): string {
    if (target % 2 === 1) return String(this.#describeDid.get((target - 1) / 2)?.['did'] ?? '')
    const row = this.#describeUri.get(target / 2)
    return row === undefined
      ? ''
      : formatRecordUri(String(row['did']), String(row['name']), String(row['rkey']))
  }

  name(kind: NameKind, name: string): number {
    const key = `${kind} ${name}`
    const known = this.#names.get(key)
    if (known !== undefined) return known
    const id =
      idOf(this.#findName[kind].get(name)) ?? Number(this.#addName[kind].run(name).lastInsertRowid)
    this.#names.set(key, id)
    return id
  }

  path(space: number, path: string): number {
    const key = `${space} ${path}`
    const known = this.#paths.get(key)
    if (known !== undefined) return known
    const id =
      idOf(this.#findPath.get(space, path)) ??
      Number(this.#addPath.run(space, path).lastInsertRowid)
    this.#paths.set(key, id)
    return id
  }
}

function idOf(row: Record<string, unknown> | undefined): number | undefined {
  return row === undefined ? undefined : Number(row['id'])
}
