import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { RepoEvent } from '@skywright/firehose'
import { expect, it } from 'vitest'
import { startFakeHost } from './support/host.ts'
import { startFakePlc } from './support/plc.ts'
import { end, startProcess } from './support/process.ts'
import { subscribe } from './support/subscriber.ts'

it('a relay whose disk is full ends with an error, and with room again goes on without a gap', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'relay-full-'))
  await using stack = new AsyncDisposableStack()
  stack.defer(() => rmSync(directory, { recursive: true, force: true }))
  const plc = stack.use(await startFakePlc())
  const host = stack.use(await startFakeHost({ plc }))
  const env = {
    RELAY_PORT: '0',
    RELAY_DATA_DIRECTORY: directory,
    RELAY_DEVELOPMENT: 'true',
    RELAY_PLC_URL: plc.url,
    RELAY_LOG_LEVEL: 'silent',
  }
  const full = await startProcess(env, [], { maxFileKilobytes: 400 })
  const exited = once(full.child, 'exit') as Promise<[number | null, string | null]>
  const response = await fetch(`${full.url}/xrpc/com.atproto.sync.requestCrawl`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ hostname: host.hostname }),
  })
  expect(response.status).toBe(200)
  const heard: RepoEvent[] = []
  const before = await subscribe(full.url, 0)
  const account = await host.createAccount()
  const posts: string[] = []
  const text = 'x'.repeat(2_000)
  let isOver = false
  void exited.then(() => (isOver = true))
  for (let i = 0; i < 1_000 && !isOver; i++) posts.push((await host.post(account, text)).rev)
  const [code, signal] = await exited
  expect([code, signal]).toEqual([1, null])
  heard.push(...before.repoEvents())
  await before[Symbol.asyncDispose]()
  expect(heard.length).toBeGreaterThan(10)

  const again = await startProcess(env)
  const last = heard.at(-1)?.seq ?? 0
  await using after = await subscribe(again.url, last)
  const revs = (): string[] =>
    [...heard, ...after.repoEvents()].flatMap((event) => ('rev' in event ? [event.rev] : []))
  await after.until(() => revs().at(-1) === posts.at(-1), 'the last post')
  // The first commit of the account, and every post, each once and in order.
  expect(revs().slice(1)).toEqual(posts)
  expect(await end(again.child, 'SIGTERM')).toBe(0)
})
