import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { Worker } from 'node:worker_threads'
import { openSqliteIdentityCache, openSqlitePlcStore } from '../src/node/index.ts'
import { verifyAuditLog } from '../src/plc/index.ts'

const ROUNDS = 4
const WRITER = fileURLToPath(new URL('support/plc-writer.ts', import.meta.url))

/** Lets a process write until it has said `lines` things, kills it, and answers everything it said. */
async function writeAndKill(database: string, lines: number): Promise<string[]> {
  const child = spawn(
    process.execPath,
    ['--conditions=@skywright/source', '--no-warnings', WRITER, database],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  )
  const said: string[] = []
  for await (const line of createInterface(child.stdout)) {
    said.push(line)
    if (said.length === lines) child.kill('SIGKILL')
  }
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  expect(child.signalCode).toBe('SIGKILL')
  return said
}

it(`a SQLite PLC store loses and halves nothing when its process is killed, ${ROUNDS} times over`, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'skywright-plc-kill-'))
  const database = join(folder, 'plc.sqlite')
  const acknowledged = new Map<string, number>()
  try {
    for (let round = 1; round <= ROUNDS; round++) {
      for (const line of await writeAndKill(database, 20 * round + round)) {
        const [did = '', count] = line.split(' ')
        acknowledged.set(did, Number(count))
      }
      using store = openSqlitePlcStore({ database })
      const total = await store.lastSeq()
      const all = await store.exportAfterSeq(0, total + 1)
      expect(all.map(({ seq }) => seq)).toEqual(Array.from({ length: total }, (_, n) => n + 1))
      for (const [did, count] of acknowledged) {
        const entries = await store.entries(did)
        expect(entries.length).toBeGreaterThanOrEqual(count)
        // Fails on a recovery without its nullification, and the other way round.
        expect(verifyAuditLog(did, entries).entries).toHaveLength(entries.length)
      }
    }
    expect(acknowledged.size).toBeGreaterThan(60)
  } finally {
    await rm(folder, { recursive: true })
  }
}, 60_000)

/** Another connection that writes to the file for a moment. */
const OTHER_WRITER = `
const { DatabaseSync } = require('node:sqlite')
const { parentPort, workerData } = require('node:worker_threads')
const database = new DatabaseSync(workerData)
database.exec('begin immediate')
parentPort.postMessage('locked')
Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100)
database.exec('commit')
`

it('SQLite stores wait for another process that is writing', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'skywright-plc-busy-'))
  const database = join(folder, 'identity.sqlite')
  try {
    using plc = openSqlitePlcStore({ database })
    using cache = openSqliteIdentityCache({ database })
    const entry = {
      did: 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa',
      operation: { type: 'plc_tombstone', prev: 'x', sig: 'x' },
      cid: 'x',
      nullified: false,
      createdAt: '2026-01-01T00:00:00.000Z',
    } as const
    const work: (() => unknown)[] = [
      () => plc.append(entry, { expectedLength: 0, nullify: [] }),
      () => {
        cache.set('did:plc:x', { fetchedAtMs: 1, text: 'x' })
      },
      () => {
        cache.delete('did:plc:x')
      },
    ]
    for (const write of work) {
      const writer = new Worker(OTHER_WRITER, { eval: true, workerData: database })
      await once(writer, 'message')
      const exited = once(writer, 'exit')
      expect(write).not.toThrow()
      await exited
    }
    expect(plc.lastSeq()).toBe(1)
    expect(cache.get('did:plc:x')).toBeUndefined()
  } finally {
    await rm(folder, { recursive: true })
  }
})
