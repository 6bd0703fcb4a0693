import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { expect, it } from 'vitest'

const script = fileURLToPath(new URL('./support/stream-process.ts', import.meta.url))
/** The account whose repo the process makes. */
const DID = 'did:web:alice.example.com'
const flags = ['--disable-warning=ExperimentalWarning', script]

it('reads and proves a CAR of 1 GB in streamable order in less than 200 MB', async () => {
  const writer = spawn(process.execPath, [...flags, '1000'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const reader = spawn(process.execPath, flags, { stdio: ['pipe', 'pipe', 'inherit'] })
  writer.stdout.pipe(reader.stdin)
  let output = ''
  for await (const chunk of reader.stdout) output += String(chunk)
  const { proven, total, rss } = JSON.parse(output) as Record<string, number>
  expect(proven).toBe(100_000)
  expect(total).toBeGreaterThan(1e9)
  expect(rss).toBeLessThan(200e6)
})

it.each(['in streamable order', 'backwards'])(
  'imports a CAR of 1 GB %s into a SQLite file in less than 256 MB',
  async (order) => {
    const folder = mkdtempSync(join(tmpdir(), 'skywright-memory-'))
    const importing = fileURLToPath(new URL('./support/import-process.ts', import.meta.url))
    try {
      const writer = spawn(process.execPath, [...flags, '1000', order], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      const file = join(folder, 'store.sqlite')
      const args = ['--disable-warning=ExperimentalWarning', importing, file, DID]
      const reader = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] })
      writer.stdout.pipe(reader.stdin)
      let output = ''
      for await (const chunk of reader.stdout) output += String(chunk)
      const report = output.trimEnd().split('\n').at(-1) ?? ''
      const { recordCount, rss, lag99 } = JSON.parse(report) as Record<string, number>
      process.stdout.write(`${order}: ${report}\n`)
      expect(recordCount).toBe(100_000)
      expect(rss).toBeLessThan(256e6)
      expect(lag99).toBeGreaterThan(0)
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  },
  600_000,
)
