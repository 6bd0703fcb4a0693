import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { openSqlitePlcStore } from '../src/node/index.ts'
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
      for (const line of await writeAndKill(database, 40 * round + round)) {
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
    expect(acknowledged.size).toBeGreaterThan(100)
  } finally {
    await rm(folder, { recursive: true })
  }
}, 60_000)
