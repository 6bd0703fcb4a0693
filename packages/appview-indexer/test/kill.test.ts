import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, it } from 'vitest'

import { openIndexer } from '../src/index.ts'
import { openSqliteIndexStore } from '../src/stores/sqlite.ts'
import { killHistory } from './kill-history.ts'
import { socialCollections } from './social.ts'

const WORKER = fileURLToPath(new URL('kill-worker.ts', import.meta.url))
/** More in the long suite. */
const KILLS = Number(process.env['SKYWRIGHT_KILLS'] ?? 12)

const folders: string[] = []
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true })
})

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

describe.each(['live', 'backfill'])('kill -9 while indexing, %s', (mode) => {
  it('ends in the state of an undisturbed run', async () => {
    const network = killHistory()
    await using calm = await openIndexer({
      store: openSqliteIndexStore(':memory:'),
      collections: socialCollections(),
      now: () => network.now(),
    })
    await calm.apply(network.events)
    const expected = await calm.stateHash()

    const folder = mkdtempSync(join(tmpdir(), 'index-kill-'))
    folders.push(folder)
    const path = join(folder, 'index.db')
    let kills = 0
    for (let n = 0; n < KILLS; n++) if (!(await runAndKill(path, mode, (n * 7) % 45))) kills++
    expect(kills).toBeGreaterThan(KILLS / 3)
    // Killed or not, the file is whole: counters equal a recount at every point.
    await using survivor = await openIndexer({
      store: openSqliteIndexStore(path),
      collections: socialCollections(),
      now: () => network.now(),
      fetchRepo: network.fetchRepo,
    })
    expect(await survivor.audit()).toEqual([])
    await survivor.run(network.source('relay'))
    await survivor.backfill({ repos: [] })
    expect(await survivor.stateHash()).toBe(expected)
    expect(await survivor.audit()).toEqual([])
  }, 120_000)
})
