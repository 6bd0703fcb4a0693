import type { CollectionSchema } from '../schema.ts'
import type { ChangeSet, StoredRow } from '../stores/transaction.ts'
import type { Names } from './names.ts'
import type { EffectsText } from './version.ts'

/** A change set with nothing in it. */
export function createChangeSet(): ChangeSet {
  return {
    rowDeletes: [],
    rowPuts: [],
    rowStates: [],
    linkDeletes: [],
    linkPuts: [],
    counters: new Map(),
    notificationDeletes: [],
    notificationPuts: [],
    searchDeletes: [],
    searchPuts: [],
    deadDeletes: [],
    deadPuts: [],
    derived: [],
    gateTriggers: new Set(),
    gateDue: [],
    gateForget: [],
  }
}

/** Adds what a row contributes: links always (on the other side when it does not count), the rest only while it counts. */
export function addEffects(
  changes: ChangeSet,
  names: Names,
  collection: CollectionSchema,
  row: StoredRow,
  effects: EffectsText,
): void {
  contribute(changes, names, collection, row, effects, 1)
}

/** Takes away what a row contributed. */
export function removeEffects(
  changes: ChangeSet,
  names: Names,
  collection: CollectionSchema,
  row: StoredRow,
  effects: EffectsText,
): void {
  contribute(changes, names, collection, row, effects, -1)
}

function contribute(
  changes: ChangeSet,
  names: Names,
  collection: CollectionSchema,
  row: StoredRow,
  effects: EffectsText,
  sign: 1 | -1,
): void {
  const { repo, rkey } = row
  const active = row.state === 0
  const links = sign === 1 ? changes.linkPuts : changes.linkDeletes
  for (const link of effects.links) {
    const target = names.target(link.target)
    const path = names.path(collection, link.path)
    links.push({ target, path: path * 2 + (active ? 0 : 1), repo, rkey })
    if (collection.feedsGates)
      changes.gateTriggers.add(linkDependency(collection, link.path, repo, target))
  }
  if (!active) return
  for (const counter of effects.counters)
    count(changes, names.target(counter.target), names.counter(counter.name), sign)
  const notifications = sign === 1 ? changes.notificationPuts : changes.notificationDeletes
  for (const { recipient, reason, subject } of effects.notifications)
    notifications.push({
      recipient: names.actor(recipient),
      sortAt: row.sortAt,
      repo,
      space: names.space(collection),
      rkey,
      reason: names.reason(reason),
      subject: names.target(subject),
    })
  if (effects.derived !== undefined)
    changes.derived.push({ collection, sign, row: effects.derived })
  if (effects.search !== undefined) {
    if (sign === 1) changes.searchPuts.push({ collection, id: row.id, texts: effects.search })
    else changes.searchDeletes.push({ collection, id: row.id })
  }
}

/** Dependency key of "this repo links there". */
export function linkDependency(
  from: CollectionSchema,
  path: string,
  repo: number,
  target: number,
): string {
  return `l${from.name} ${path}/${repo}/${target}`
}

/** Dependency key of "the record at this target". */
export function recordDependency(target: number): string {
  return `r${target}`
}

function count(changes: ChangeSet, target: number, counter: number, difference: number): void {
  let counters = changes.counters.get(target)
  if (counters === undefined) changes.counters.set(target, (counters = new Map()))
  counters.set(counter, (counters.get(counter) ?? 0) + difference)
}
