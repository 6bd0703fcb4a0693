import type { GateLookup, RowInput } from '../collection.ts'
import type { RecordObject } from '../column.ts'
import { decodeRecord, redraftRecord, rowInputOf } from '../draft.ts'
import type { DraftValue } from '../draft.ts'
import type { CollectionSchema, Schema } from '../schema.ts'
import { STATE_GATED } from '../stores/transaction.ts'
import type { ActorState, GatedKey, IndexTransaction } from '../stores/transaction.ts'
import { isDid, parseRecordUri } from '../target.ts'
import {
  addEffects,
  createChangeSet,
  linkDependency,
  recordDependency,
  removeEffects,
} from './change-set.ts'
import { effectsOfRows, loadRows, textValues } from './load-rows.ts'
import type { LoadedRow } from './load-rows.ts'
import { Names } from './names.ts'
import { ask } from './steps.ts'
import type { Steps } from './steps.ts'

/** Most things one gate may look at; a gate that wants more stays closed. */
export const MAX_GATE_LOOKUPS = 64

/** Something a gate looked at, by its text key, with the answer once it is loaded. */
interface Look {
  readonly kind: 'record' | 'link'
  readonly uri: string
  readonly from: CollectionSchema
  readonly path: string
  readonly did: string
  dependency: string
  answer: RecordObject | boolean | undefined
  loaded: boolean
}

/**
 * Asks the gates of rows that are due, at most `limit`: what they look at is loaded in bulk, round by round, and
 * remembered, so that a change of any of it makes them due again. Answers whether more may be due.
 */
export function* askGates(
  schema: Schema,
  tx: IndexTransaction,
  limit: number,
  touched: Set<string>,
): Steps<boolean> {
  const due = yield* ask(tx.takeDueGates(limit))
  if (due.length === 0) return false
  const rows = yield* loadDue(schema, tx, due)
  const texts = yield* textValues(tx, rows)
  const looks = new Map<string, Look>()
  const outcomes = new Map<LoadedRow, { open: boolean; looked: readonly string[] }>()
  let waiting = rows
  for (let round = 0; waiting.length > 0 && round <= MAX_GATE_LOOKUPS; round++) {
    const still: LoadedRow[] = []
    for (const row of waiting) {
      const outcome = tryGate(schema, row, texts.get(row) ?? [], looks)
      if (outcome.open === undefined && round < MAX_GATE_LOOKUPS) still.push(row)
      else outcomes.set(row, { open: outcome.open === true, looked: outcome.looked })
    }
    yield* loadLooks(
      tx,
      [...looks.values()].filter(({ loaded }) => !loaded),
    )
    waiting = still
  }

  const names = new Names()
  for (const { collection, effects } of rows) names.wantEffects(collection, effects)
  yield* names.load(tx)
  const changes = createChangeSet()
  for (const [loaded, { open, looked }] of outcomes) {
    const { collection, row, effects } = loaded
    const state = open ? row.state & ~STATE_GATED : row.state | STATE_GATED
    yield* ask(
      tx.setGateDependencies(
        { space: names.space(collection), repo: row.repo, rkey: row.rkey },
        looked.map((key) => looks.get(key)?.dependency ?? '').filter((key) => key !== ''),
      ),
    )
    if (state === row.state) continue
    touched.add(collection.name)
    removeEffects(changes, names, collection, row, effects)
    addEffects(changes, names, collection, { ...row, state }, effects)
    changes.rowStates.push({ collection, key: row, id: row.id, state })
  }
  yield* ask(tx.write(changes))
  return due.length >= limit
}

function* loadDue(
  schema: Schema,
  tx: IndexTransaction,
  due: readonly GatedKey[],
): Steps<LoadedRow[]> {
  const gated = schema.collections.filter(({ gate }) => gate !== undefined)
  const spaces = yield* ask(
    tx.names(
      'space',
      gated.map(({ space }) => space),
    ),
  )
  const bySpace = new Map(gated.map((collection, index) => [spaces[index] ?? -1, collection]))
  const actors = yield* ask(tx.actorsById([...new Set(due.map(({ repo }) => repo))]))
  const byId = new Map(actors.map((actor) => [actor.id, actor]))
  const keys = due.flatMap(({ space, repo, rkey }) => {
    const collection = bySpace.get(space)
    const actor: ActorState | undefined = byId.get(repo)
    return collection === undefined || actor === undefined ? [] : [{ actor, collection, rkey }]
  })
  const found = yield* loadRows(tx, keys)
  return yield* effectsOfRows(
    tx,
    keys.flatMap(({ actor, collection }, index) => {
      const row = found[index]
      return row === undefined ? [] : [{ actor, collection, row }]
    }),
  )
}

/** Thrown through a gate that looked at something not loaded yet; it is asked again when it is. */
class NotLoaded extends Error {
  override readonly name = 'NotLoaded'
}

function tryGate(
  schema: Schema,
  { actor, collection, row }: LoadedRow,
  values: readonly DraftValue[],
  looks: Map<string, Look>,
): { readonly open: boolean | undefined; readonly looked: readonly string[] } {
  const { gate } = collection
  if (gate === undefined) return { open: true, looked: [] }
  const looked = new Set<string>()
  const look = (key: string, made: () => Omit<Look, 'dependency' | 'answer' | 'loaded'>): Look => {
    looked.add(key)
    if (looked.size > MAX_GATE_LOOKUPS) throw new RangeError('the gate looks at too much')
    let found = looks.get(key)
    if (found === undefined)
      looks.set(key, (found = { ...made(), dependency: '', answer: undefined, loaded: false }))
    if (!found.loaded) throw new NotLoaded()
    return found
  }
  const dependency = (name: string | undefined): CollectionSchema => {
    const found = name === undefined ? undefined : schema.byName.get(name)
    if (found === undefined || !gate.dependsOn.has(found.name))
      throw new TypeError(`the gate does not depend on ${name ?? 'that collection'}`)
    return found
  }
  const lookup: GateLookup = {
    record: (uri) => {
      const parsed = parseRecordUri(uri)
      if (parsed === undefined) return undefined
      const from = dependency(schema.byNsid.get(parsed.collection)?.name)
      const made = { kind: 'record' as const, uri, from, path: '', did: parsed.did }
      const { answer } = look(`record ${uri}`, () => made)
      return typeof answer === 'object' ? answer : undefined
    },
    linked: ({ from: name, path, did, to }) => {
      const from = dependency(name)
      if (from.gate !== undefined) throw new TypeError(`${name} has a gate itself`)
      if (!isDid(did) || (!isDid(to) && parseRecordUri(to) === undefined)) return false
      const made = { kind: 'link' as const, uri: to, from, path, did }
      return look(`link ${name} ${path} ${did} ${to}`, () => made).answer === true
    },
  }
  const input: RowInput = rowInputOf(
    collection,
    actor.did,
    row.rkey,
    values,
    row.bytes === undefined ? undefined : redraftRecord(collection, row.bytes).record,
  )
  try {
    return { open: gate.allow(input, lookup), looked: [...looked] }
  } catch (error) {
    // A gate that fails stays closed: what cannot be judged does not count.
    return { open: error instanceof NotLoaded ? undefined : false, looked: [...looked] }
  }
}

function* loadLooks(tx: IndexTransaction, looks: readonly Look[]): Steps<void> {
  if (looks.length === 0) return
  const targets = yield* ask(tx.targets(looks.map(({ uri }) => uri)))
  const repos = yield* ask(tx.targets(looks.map(({ did }) => did)))
  for (const [index, look] of looks.entries()) {
    const target = targets[index] ?? 0
    const repo = ((repos[index] ?? 1) - 1) / 2
    look.loaded = true
    if (look.kind === 'record') {
      look.dependency = recordDependency(target)
      const rkey = parseRecordUri(look.uri)?.rkey ?? ''
      const [row] = yield* ask(tx.rows(look.from, [{ repo, rkey }]))
      const { bytes } = look.from.edge ? {} : (row ?? {})
      look.answer = bytes === undefined ? undefined : decodeRecord(bytes)
      continue
    }
    const [space = 0] = yield* ask(tx.names('space', [look.from.space]))
    const [path = 0] = yield* ask(tx.paths(space, [look.path]))
    look.dependency = linkDependency(look.from, look.path, repo, target)
    const [linked = false] = yield* ask(tx.hasLinks([{ target, path: path * 2, repo }]))
    look.answer = linked
  }
}
