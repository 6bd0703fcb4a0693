import type { CollectionSchema } from '../schema.ts'
import type { MaybePromise } from '../stores/maybe-promise.ts'
import type { IndexTransaction } from '../stores/transaction.ts'
import { ask } from './steps.ts'
import type { Steps } from './steps.ts'
import type { EffectsText } from './version.ts'

/**
 * The integers of everything a batch names. Ask for them with `want…`, load them all at once, then read.
 * Lives as long as one transaction: a rollback must not leave ids behind.
 */
export class Names {
  readonly #targets = new Map<string, number>()
  readonly #paths = new Map<string, number>()
  readonly #names = {
    space: new Map<string, number>(),
    reason: new Map<string, number>(),
    counter: new Map<string, number>(),
  }
  readonly #collections = new Map<string, CollectionSchema>()

  wantTarget(text: string): void {
    if (!this.#targets.has(text)) this.#targets.set(text, UNKNOWN)
  }

  wantCollection(collection: CollectionSchema): void {
    this.#collections.set(collection.space, collection)
    want(this.#names.space, collection.space)
  }

  wantEffects(collection: CollectionSchema, effects: EffectsText): void {
    this.wantCollection(collection)
    for (const link of effects.links) {
      this.wantTarget(link.target)
      want(this.#paths, `${collection.space}\n${link.path}`)
    }
    for (const counter of effects.counters) {
      this.wantTarget(counter.target)
      want(this.#names.counter, counter.name)
    }
    for (const { recipient, reason, subject } of effects.notifications) {
      this.wantTarget(recipient)
      this.wantTarget(subject)
      want(this.#names.reason, reason)
    }
  }

  /** Interns the targets wanted by now, asked at once; a promise must be taken before anything else is awaited. */
  loadTargets(tx: IndexTransaction): MaybePromise<void> {
    const missing = unknown(this.#targets)
    if (missing.length === 0) return
    const remember = (ids: readonly number[]): void => {
      missing.forEach((text, index) => this.#targets.set(text, ids[index] ?? UNKNOWN))
    }
    const ids = tx.targets(missing)
    return ids instanceof Promise ? ids.then(remember) : remember(ids)
  }

  /** Interns everything wanted and not known yet. */
  *load(tx: IndexTransaction): Steps<void> {
    yield* ask(this.loadTargets(tx))
    for (const kind of ['space', 'reason', 'counter'] as const)
      yield* fill(this.#names[kind], (texts) => tx.names(kind, texts))
    for (const collection of this.#collections.values()) {
      const prefix = `${collection.space}\n`
      const missing = unknown(this.#paths).filter((key) => key.startsWith(prefix))
      if (missing.length === 0) continue
      const ids = yield* ask(
        tx.paths(
          this.space(collection),
          missing.map((key) => key.slice(prefix.length)),
        ),
      )
      missing.forEach((key, index) => this.#paths.set(key, ids[index] ?? UNKNOWN))
    }
  }

  target(text: string): number {
    return known(this.#targets, text)
  }

  /** The account id of a DID: targets of DIDs are odd. */
  actor(did: string): number {
    return (this.target(did) - 1) / 2
  }

  path(collection: CollectionSchema, path: string): number {
    return known(this.#paths, `${collection.space}\n${path}`)
  }

  space(collection: CollectionSchema): number {
    return known(this.#names.space, collection.space)
  }

  reason(reason: string): number {
    return known(this.#names.reason, reason)
  }

  counter(name: string): number {
    return known(this.#names.counter, name)
  }
}

const UNKNOWN = -1

function want(map: Map<string, number>, key: string): void {
  if (!map.has(key)) map.set(key, UNKNOWN)
}

function unknown(map: ReadonlyMap<string, number>): string[] {
  const keys: string[] = []
  for (const [key, id] of map) if (id === UNKNOWN) keys.push(key)
  return keys
}

function* fill(
  map: Map<string, number>,
  intern: (texts: readonly string[]) => readonly number[] | Promise<readonly number[]>,
): Steps<void> {
  const missing = unknown(map)
  if (missing.length === 0) return
  const ids = yield* ask(intern(missing))
  missing.forEach((key, index) => map.set(key, ids[index] ?? UNKNOWN))
}

function known(map: ReadonlyMap<string, number>, key: string): number {
  const id = map.get(key)
  if (id === undefined || id === UNKNOWN) throw new TypeError(`name was not loaded: ${key}`)
  return id
}
