import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'vitest'

import { openIndexer } from '../src/index.ts'
import { openSqliteIndexStore } from '../src/stores/sqlite.ts'
import { killHistory } from './kill-history.ts'
import { socialCollections } from './social.ts'

const WORKER = fileURLToPath(new URL('kill-worker.ts', import.meta.url))

/** Runs the worker; kills it `afterMs` after it opened the index. Tells whether it finished before. */
function runAndKill(path: string, mode: string, afterMs: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const worker = spawn(process.execPath, ['--conditions=@skywright/source', WORKER, path, mode], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let output = ''
    let errors = ''
    worker.stderr.on('data', (data: Buffer) => (errors += data.toString()))
    worker.stdout.on('data', (data: Buffer) => {
      if (output === '') setTimeout(() => worker.kill('SIGKILL'), afterMs)
      output += data.toString()
    })
    worker.on('exit', (code) => {
      if (code !== 0 && code !== null) reject(new Error(errors))
      else resolve(output.includes('done'))
    })
  })
}

/**
 * Kills an indexing process many times at different moments, then compares what is left and what comes of it with an
 * undisturbed run. Answers how often it was killed before it had finished.
 */
export async function killRepeatedly(mode: 'live' | 'backfill', times: number): Promise<number> {
  const network = killHistory()
  await using calm = await openIndexer({
    store: openSqliteIndexStore(':memory:'),
    collections: socialCollections(),
    now: () => network.now(),
  })
  await calm.apply(network.events)
  const expected = await calm.stateHash()

  const folder = mkdtempSync(join(tmpdir(), 'index-kill-'))
  let kills = 0
  try {
    // A file is finished after some kills: then the next one begins.
    for (let file = 0; kills < times; file++) {
      const path = join(folder, `${file}.db`)
      for (let n = 0; n < 25 && kills < times; n++) {
        if (await runAndKill(path, mode, (kills * 7) % 45)) break
        kills++
      }
      await using survivor = await openIndexer({
        store: openSqliteIndexStore(path),
        collections: socialCollections(),
        now: () => network.now(),
        fetchRepo: network.fetchRepo,
      })
      // Killed or not, the file is whole: counters equal a recount at every point.
      expect(await survivor.audit()).toEqual([])
      await survivor.run(network.source('relay'))
      await survivor.backfill({ repos: [] })
      expect(await survivor.stateHash()).toBe(expected)
      expect(await survivor.audit()).toEqual([])
      expect(file).toBeLessThan(times)
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
  return kills
}
