import { spawn } from 'node:child_process'
import type { ChildProcessByStdio } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { expect } from 'vitest'

import { auditCounters } from '../src/audit.ts'
import { openIndexer } from '../src/index.ts'
import { compileSchema } from '../src/schema.ts'
import { openSqliteIndexStore } from '../src/stores/sqlite.ts'
import { killHistory } from './kill-history.ts'
import { openKillStore } from './kill-place.ts'
import type { KillPlace } from './kill-place.ts'
import { socialCollections } from './social.ts'

const WORKER = fileURLToPath(new URL('kill-worker.ts', import.meta.url))
/** An index that was killed this often is finished undisturbed; then the next one begins. */
const KILLS_AN_INDEX = 25

/** A worker that has loaded everything and waits to be told where. */
class Worker implements Disposable {
  readonly #process: ChildProcessByStdio<Writable, Readable, Readable>
  readonly #ready: Promise<unknown>
  readonly #exit: Promise<number | null>
  #errors = ''

  /** Compiled code is kept in `cache` by the first worker that is let finish: the others start three times as fast. */
  constructor(cache: string) {
    this.#process = spawn(process.execPath, ['--conditions=@skywright/source', WORKER], {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, NODE_COMPILE_CACHE: cache },
    })
    this.#process.stderr.on('data', (data: Buffer) => (this.#errors += data.toString()))
    this.#ready = once(this.#process.stdout, 'data')
    this.#exit = once(this.#process, 'exit').then(([code]) => code as number | null)
  }

  /** Lets it work and kills it after a time. Tells whether it had finished before, and how long it took. */
  async run(
    place: KillPlace,
    mode: string,
    afterMs: number | undefined,
  ): Promise<{ readonly finished: boolean; readonly ms: number }> {
    await this.#ready
    let finished = false
    this.#process.stdout.on('data', () => (finished = true))
    const started = performance.now()
    this.#process.stdin.write(`${place.address} ${mode}\n`)
    const timer =
      afterMs === undefined ? undefined : setTimeout(() => this.#process.kill('SIGKILL'), afterMs)
    const code = await this.#exit
    clearTimeout(timer)
    if (code !== 0 && code !== null) throw new Error(this.#errors)
    return { finished, ms: performance.now() - started }
  }

  [Symbol.dispose](): void {
    this.#process.kill('SIGKILL')
  }
}

/**
 * Kills an indexing process many times at random moments between the first and the last thing it does. After every kill
 * the counters equal a recount; what comes of it in the end equals an undisturbed run. Answers how often a process was
 * killed before it had finished.
 */
export async function killRepeatedly(
  createPlace: () => Promise<KillPlace>,
  mode: 'live' | 'backfill',
  times: number,
): Promise<number> {
  const network = killHistory()
  const collections = socialCollections()
  const schema = compileSchema(collections)
  await using calm = await openIndexer({
    store: openSqliteIndexStore(':memory:'),
    collections,
    now: () => network.now(),
  })
  await calm.apply(network.events)
  const expected = await calm.stateHash()

  const random = seeded()
  let kills = 0
  // The next worker loads while the one before works.
  const cache = mkdtempSync(join(tmpdir(), 'index-kill-cache-'))
  let next = new Worker(cache)
  const takeWorker = (): Worker => {
    const worker = next
    next = new Worker(cache)
    return worker
  }
  try {
    // How long an undisturbed run takes here: kills fall anywhere in it.
    let runMs = 0
    for (let index = 0; kills < times; index++) {
      await using place = await createPlace()
      if (index === 0) {
        using worker = takeWorker()
        const { ms } = await worker.run(place, mode, undefined)
        runMs = ms
      }
      for (let n = 0; index > 0 && n < KILLS_AN_INDEX && kills < times; n++) {
        using worker = takeWorker()
        const { finished, ms } = await worker.run(place, mode, random() * runMs * 0.4)
        if (finished) {
          // The first run may have been slow for reasons of its own.
          runMs = Math.min(runMs, ms)
          break
        }
        kills++
        await using store = openKillStore(place.address)
        await store.prepare(schema, { canFetch: true, shard: { index: 0, count: 1 } })
        expect(await auditCounters(store, schema)).toEqual([])
      }
      await using survivor = await openIndexer({
        store: openKillStore(place.address),
        collections,
        now: () => network.now(),
        fetchRepo: network.fetchRepo,
      })
      await survivor.run(network.source('relay'))
      await survivor.backfill({ repos: [] })
      expect(await survivor.stateHash()).toBe(expected)
      expect(await survivor.audit()).toEqual([])
      expect(index).toBeLessThanOrEqual(times)
    }
  } finally {
    next[Symbol.dispose]()
    rmSync(cache, { recursive: true, force: true, maxRetries: 3 })
  }
  return kills
}

function seeded(): () => number {
  let state = 20
  return () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    return state / 2 ** 32
  }
}
