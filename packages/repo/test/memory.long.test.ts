import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

import { expect, it } from 'vitest'

const script = fileURLToPath(new URL('./support/stream-process.ts', import.meta.url))
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
