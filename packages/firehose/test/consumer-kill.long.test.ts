import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { createMemoryEventLog } from '../src/event-log/memory.ts'
import { createRandom, identityAppend } from '../src/testing/index.ts'
import { createEventSockets } from '../src/ws.ts'

const ROUNDS = Number(process.env['SKYWRIGHT_KILL_ROUNDS'] ?? 100)

it(`a consumer killed ${String(ROUNDS)} times handles every event, in the order of each account`, async () => {
  const random = createRandom(3)
  const folder = await mkdtemp(join(tmpdir(), 'skywright-consumer-'))
  const log = createMemoryEventLog()
  const sockets = createEventSockets(log)
  const server = createServer()
  server.on('upgrade', (request, socket, head) => {
    sockets.upgrade(request, socket, head)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const service = `ws://127.0.0.1:${String(port)}`
  const script = fileURLToPath(new URL('support/consumer.ts', import.meta.url))
  const handled = join(folder, 'handled')
  const size = async () => (await stat(handled).catch(() => ({ size: 0 }))).size
  let killed = 0
  for (let round = 0; round <= ROUNDS; round++) {
    const args = ['--conditions=@skywright/source', '--no-warnings', script, service, folder]
    const child = spawn(process.execPath, args, { stdio: 'inherit' })
    const exit = once(child, 'exit')
    const before = await size()
    const wanted = before + 400 + random.integer(6_000)
    const last = round === ROUNDS
    for (;;) {
      await log.publish(
        Array.from({ length: 20 }, () =>
          identityAppend(`did:plc:${String(random.integer(9)).padStart(24, 'a')}`),
        ),
      )
      await new Promise((resolve) => setImmediate(resolve))
      if (child.exitCode !== null) throw new Error('the consumer ended by itself')
      if ((await size()) >= wanted) break
    }
    if (last) {
      // The last one may finish.
      while ((await handledSeqs(handled)).size < log.bounds().last) {
        await new Promise((resolve) => setImmediate(resolve))
      }
    } else killed++
    child.kill('SIGKILL')
    await exit
  }
  const lines = (await readFile(handled, 'utf8')).split('\n').filter((line) => line !== '')
  const seen = new Set<number>()
  const highest = new Map<string, number>()
  let repeated = 0
  for (const line of lines) {
    const [text = '', did = ''] = line.split(' ')
    const seq = Number(text)
    if (seen.has(seq)) repeated++
    // Something new of an account never comes after something newer of it.
    else expect(seq).toBeGreaterThan(highest.get(did) ?? 0)
    seen.add(seq)
    highest.set(did, Math.max(seq, highest.get(did) ?? 0))
  }
  const { last } = log.bounds()
  expect(killed).toBe(ROUNDS)
  const missing: number[] = []
  for (let seq = 1; seq <= last; seq++) if (!seen.has(seq)) missing.push(seq)
  expect(missing).toEqual([])
  expect(repeated).toBeLessThan(last)
  await sockets[Symbol.asyncDispose]()
  server.close()
  await rm(folder, { recursive: true })
})

async function handledSeqs(path: string): Promise<Set<string>> {
  return new Set((await readFile(path, 'utf8')).match(/^\d+(?= did)/gm))
}
