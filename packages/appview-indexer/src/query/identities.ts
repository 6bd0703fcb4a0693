import { RecentMap } from '../recent-map.ts'
import type { IndexStore } from '../stores/port.ts'
import { formatRecordUri, parseRecordUri } from '../target.ts'

const MAX_REMEMBERED = 100_000
/** Values in one SQL list; SQLite allows 32,766 parameters. */
const CHUNK = 500

/** DIDs and at-uris to integers and back, for readers. Ids never change meaning, so what is known stays known. */
export class Identities {
  readonly #store: IndexStore
  readonly #repoByDid = new RecentMap<string, number>(MAX_REMEMBERED)
  readonly #didByRepo = new RecentMap<number, string>(MAX_REMEMBERED)
  readonly #targetByText = new RecentMap<string, number>(MAX_REMEMBERED)
  readonly #textByTarget = new RecentMap<number, string>(MAX_REMEMBERED)

  constructor(store: IndexStore) {
    this.#store = store
  }

  /** Account ids; DIDs the index never met are missing. */
  async repos(dids: readonly string[]): Promise<Map<string, number>> {
    const found = new Map<string, number>()
    const missing: string[] = []
    for (const did of new Set(dids)) {
      const repo = this.#repoByDid.get(did)
      if (repo === undefined) missing.push(did)
      else found.set(did, repo)
    }
    for (const part of chunks(missing)) {
      const rows = await this.#store.query(
        `SELECT id, did FROM ix_actor WHERE did IN (${marks(part.length)})`,
        part,
      )
      for (const row of rows) {
        const did = String(row['did'])
        found.set(did, Number(row['id']))
        this.#repoByDid.set(did, Number(row['id']))
      }
    }
    return found
  }

  /** DIDs of account ids. */
  async dids(repos: Iterable<number>): Promise<Map<number, string>> {
    const found = new Map<number, string>()
    const missing: number[] = []
    for (const repo of new Set(repos)) {
      const did = this.#didByRepo.get(repo)
      if (did === undefined) missing.push(repo)
      else found.set(repo, did)
    }
    for (const part of chunks(missing)) {
      const rows = await this.#store.query(
        `SELECT id, did FROM ix_actor WHERE id IN (${marks(part.length)})`,
        part,
      )
      for (const row of rows) {
        found.set(Number(row['id']), String(row['did']))
        this.#didByRepo.set(Number(row['id']), String(row['did']))
      }
    }
    return found
  }

  /** Target ids of at-uris and DIDs; what the index never met is missing. */
  async targets(texts: readonly string[]): Promise<Map<string, number>> {
    const found = new Map<string, number>()
    const dids: string[] = []
    const uris = new Map<string, { did: string; collection: string; rkey: string }>()
    for (const text of new Set(texts)) {
      const known = this.#targetByText.get(text)
      if (known !== undefined) found.set(text, known)
      else if (text.startsWith('at://')) {
        const uri = parseRecordUri(text)
        if (uri !== undefined) uris.set(text, uri)
      } else dids.push(text)
    }
    const repos = await this.repos([...dids, ...[...uris.values()].map(({ did }) => did)])
    for (const did of dids) {
      const repo = repos.get(did)
      if (repo !== undefined) found.set(did, repo * 2 + 1)
    }
    for (const part of chunks([...uris.values()].filter(({ did }) => repos.has(did)))) {
      const rows = await this.#store.query(
        `SELECT u.id, u.repo, n.name, u.rkey FROM ix_uri u JOIN ix_nsid n ON n.id = u.nsid WHERE ${part
          .map(
            () =>
              '(u.repo = ? AND u.nsid = (SELECT id FROM ix_nsid WHERE name = ?) AND u.rkey = ?)',
          )
          .join(' OR ')}`,
        part.flatMap(({ did, collection, rkey }) => [repos.get(did) ?? 0, collection, rkey]),
      )
      const didOfRepo = new Map(part.map(({ did }) => [repos.get(did) ?? 0, did]))
      for (const row of rows) {
        const did = didOfRepo.get(Number(row['repo']))
        if (did === undefined) continue
        const text = formatRecordUri(did, String(row['name']), String(row['rkey']))
        found.set(text, Number(row['id']) * 2)
        this.#targetByText.set(text, Number(row['id']) * 2)
      }
    }
    return found
  }

  /** The text of target ids. */
  async texts(targets: Iterable<number>): Promise<Map<number, string>> {
    const found = new Map<number, string>()
    const repos: number[] = []
    const uris: number[] = []
    for (const target of new Set(targets)) {
      const known = this.#textByTarget.get(target)
      if (known !== undefined) found.set(target, known)
      else if (target % 2 === 1) repos.push((target - 1) / 2)
      else uris.push(target / 2)
    }
    for (const [repo, did] of await this.dids(repos)) found.set(repo * 2 + 1, did)
    for (const part of chunks(uris)) {
      const rows = await this.#store.query(
        `SELECT u.id, a.did, n.name, u.rkey FROM ix_uri u JOIN ix_actor a ON a.id = u.repo JOIN ix_nsid n ON n.id = u.nsid WHERE u.id IN (${marks(part.length)})`,
        part,
      )
      for (const row of rows) {
        const text = formatRecordUri(String(row['did']), String(row['name']), String(row['rkey']))
        found.set(Number(row['id']) * 2, text)
        this.#textByTarget.set(Number(row['id']) * 2, text)
      }
    }
    return found
  }
}

/** `?, ?, ?` */
export function marks(count: number): string {
  return count === 0 ? '' : `?${', ?'.repeat(count - 1)}`
}

function* chunks<T>(items: readonly T[]): Generator<T[]> {
  for (let at = 0; at < items.length; at += CHUNK) yield items.slice(at, at + CHUNK)
}
