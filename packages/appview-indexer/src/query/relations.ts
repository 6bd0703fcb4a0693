import type { CollectionSchema } from '../schema.ts'
import type { IndexStore } from '../stores/port.ts'
import { formatRecordUri } from '../target.ts'
import { marks } from './identities.ts'
import type { Identities } from './identities.ts'

/** One way in which an account and a subject may stand to each other: by a record of either that links to the other. */
export interface RelationKind<N extends string = string> {
  readonly from: N
  /** The column name, or the record path for links that are not columns. */
  readonly path: string
  /** The record is the subject's and names the account ("follows me"). @defaultValue false */
  readonly reverse?: boolean
}

/** A kind with its collection found. */
export interface CompiledRelation {
  readonly name: string
  readonly collection: CollectionSchema
  readonly path: string
  readonly reverse: boolean
}

/** Subjects in one statement. */
const CHUNK = 500

/** At-uris of the records that relate an account and subjects, by subject and kind; one of each, that with the lowest key. */
export async function readRelations(
  store: IndexStore,
  identities: Identities,
  did: string,
  subjects: readonly string[],
  kinds: readonly CompiledRelation[],
): Promise<Map<string, Record<string, string>>> {
  const found = new Map<string, Record<string, string>>()
  const note = (subject: string | undefined, name: string, uri: string): void => {
    if (subject === undefined) return
    let relations = found.get(subject)
    if (relations === undefined) found.set(subject, (relations = {}))
    if (!Object.hasOwn(relations, name)) relations[name] = uri
  }
  const own = (await identities.repos([did])).get(did)
  if (own === undefined || subjects.length === 0) return found
  const targets = await identities.targets(subjects)
  const repos = await identities.repos(subjects.filter((subject) => subject.startsWith('did:')))
  for (const { name, collection, path, reverse } of kinds) {
    const [row] = await store.query(
      'SELECT p.id FROM ix_path p JOIN ix_space n ON n.id = p.space WHERE n.name = ? AND p.path = ?',
      [collection.nsid, path],
    )
    if (row === undefined) continue
    const stored = Number(row['id']) * 2
    const byId = new Map([...(reverse ? repos : targets)].map(([subject, id]) => [id, subject]))
    const ids = [...byId.keys()]
    for (let at = 0; at < ids.length; at += CHUNK) {
      const part = ids.slice(at, at + CHUNK)
      const rows = await store.query(
        reverse
          ? `SELECT repo AS id, rkey FROM ix_link WHERE target = ? AND path = ? AND repo IN (${marks(part.length)}) ORDER BY repo, rkey`
          : `SELECT target AS id, rkey FROM ix_link WHERE repo = ? AND path = ? AND target IN (${marks(part.length)}) ORDER BY target, rkey`,
        [reverse ? own * 2 + 1 : own, stored, ...part],
      )
      for (const link of rows) {
        const subject = byId.get(Number(link['id']))
        const author = reverse ? (subject ?? '') : did
        note(subject, name, formatRecordUri(author, collection.nsid, String(link['rkey'])))
      }
    }
  }
  return found
}
